"""Versions and lists of connectors over the bus."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from nats.js import JetStreamContext

from shared.contracts.commands import (
    AddVersion,
    Connector,
    ConnectorPage,
    ConnectorRow,
    GetVersion,
    ListConnectors,
    ShowConnector,
    Version,
    VersionAdded,
)
from shared.contracts.errors import DibopError
from shared.messaging.objects import Documents
from tests.integration.registry.conftest import People, Person
from tests.support.connectors import document, operation

pytestmark = pytest.mark.usefixtures("registry")


async def slugs(person: Person, **query: object) -> list[str]:
    page = await person.ask("connector.list", ListConnectors.model_validate(query), ConnectorPage)
    return [row.slug for row in page.connectors]


async def test_a_version_answers_the_whole_catalogue_entry(people: People, js: JetStreamContext) -> None:
    first = await people.author.save()
    await people.publish(first)
    second = await people.author.save(base_revision=1, description="More.")

    entry = await people.publish(second, "1.1.0")

    assert (entry.key, entry.generation) == ("acme.weather", 2)
    assert [(v.version, v.digest, v.state) for v in entry.versions] == [
        ("1.0.0", first.digest, "published"),
        ("1.1.0", second.digest, "published"),
    ]
    for saved in (first, second):
        assert await Documents(js).get(saved.digest) is not None


async def test_a_repeated_publication_adds_nothing(people: People) -> None:
    saved = await people.author.save()
    entries = await asyncio.gather(*(people.publish(saved) for _ in range(5)))

    assert {entry.generation for entry in entries} == {1}
    assert [e.action for e in await people.admin.audit()] == ["version.add", "draft.save"]


async def test_a_version_number_is_given_once(people: People) -> None:
    saved = await people.author.save()
    await people.publish(saved)
    other = await people.author.save(base_revision=1, description="More.")
    adding = AddVersion(
        publication_id="another",
        slug="weather",
        version="1.0.0",
        digest=other.digest,
        scope="enterprise",
        revision=2,
        actor="bob",
    )

    refused = await people.publisher.refused("version.add", adding)

    assert refused.code == "conflict"
    assert "Version 1.0.0 of 'weather' was published by 'ada'" in refused.detail


async def test_of_two_publications_at_once_one_gets_the_number(people: People) -> None:
    saved = await people.author.save()
    adding = AddVersion(
        publication_id="p-0",
        slug="weather",
        version="1.0.0",
        digest=saved.digest,
        scope="enterprise",
        revision=1,
        actor="ada",
    )

    outcomes = await asyncio.gather(
        *(
            people.publisher.ask(
                "version.add", adding.model_copy(update={"publication_id": f"p-{number}"}), VersionAdded
            )
            for number in range(4)
        ),
        return_exceptions=True,
    )

    assert sum(isinstance(outcome, VersionAdded) for outcome in outcomes) == 1
    assert {outcome.code for outcome in outcomes if isinstance(outcome, DibopError)} == {"conflict"}


@pytest.mark.parametrize(
    "changes", [{"digest": "sha256:" + "0" * 64}, {"revision": 2}, {"revision": 2**70}, {"revision": -1}]
)
async def test_only_what_was_saved_becomes_a_version(people: People, changes: dict[str, object]) -> None:
    saved = await people.author.save()
    adding = AddVersion(
        publication_id="p-0",
        slug="weather",
        version="1.0.0",
        digest=saved.digest,
        scope="enterprise",
        revision=1,
        actor="ada",
    )

    assert (await people.publisher.refused("version.add", adding.model_copy(update=changes))).status in {404, 409}
    assert (await people.author.refused("version.add", adding)).code == "forbidden"


async def test_a_published_document_is_read_back(people: People) -> None:
    await people.publish(await people.author.save())
    await people.author.save(base_revision=1, description="Not yet.")

    version = await people.viewer.ask("version.get", GetVersion(slug="weather"), Version)

    assert (version.version, version.document, version.scope) == ("1.0.0", document(), "enterprise")
    assert (await people.viewer.refused("version.get", GetVersion(slug="weather", version="9.9.9"))).code == "not-found"
    assert (await people.viewer.refused("version.get", GetVersion(slug="wether"))).code == "not-found"


async def test_everyone_sees_what_is_theirs_to_see(people: People) -> None:
    await people.publish(await people.platform.save("maps", name="Maps of Zürich"))
    await people.platform.save("plans")
    await people.publish(await people.author.save("weather"))
    await people.author.save("weather", base_revision=1, name="Secret plans")
    await people.author.save("drafted")

    assert await slugs(people.author) == ["drafted", "maps", "weather"]
    assert await slugs(people.viewer) == ["maps", "weather"]
    assert await slugs(people.platform) == ["maps", "plans"]
    mine = await people.author.ask("connector.show", ShowConnector(slug="weather"), Connector)
    theirs = await people.viewer.ask("connector.show", ShowConnector(slug="weather"), Connector)
    assert (mine.name, mine.draft.revision if mine.draft else None) == ("Secret plans", 2)
    assert (theirs.name, theirs.draft, theirs.latest_version) == ("Weather", None, "1.0.0")
    assert (await people.viewer.refused("connector.show", ShowConnector(slug="drafted"))).code == "not-found"
    assert (await people.stranger.refused("connector.list", ListConnectors())).code == "forbidden"


PLAIN: dict[str, Any] = {"description": None, "operations": [operation("list_all", description="All.")]}


async def test_connectors_are_found_by_beginnings_of_their_words(people: People) -> None:
    await people.publish(await people.platform.save("maps", **PLAIN | {"name": "Karten von ZÜRICH"}))
    changes: dict[str, Any] = {"name": "100% Weather_now", "type": "Logistics", "description": "Rain and sun."}
    await people.author.save("weather", **PLAIN | changes)
    harbours = operation("list_harbours", display_name="Häfen", description="Where ships lie.")
    await people.author.save("tides", **PLAIN | {"name": "Tides", "operations": [harbours]})

    for search, expected in {
        "zürich": ["maps"],
        "zurich KARTEN": ["maps"],
        "WEATH": ["weather"],
        "100% w": ["weather"],
        "logi rain": ["weather"],
        "harb": ["tides"],
        "hafen ships": ["tides"],
        "list": ["maps", "tides", "weather"],
        "rain tides": [],
        "arbour": [],
        "  ": ["maps", "tides", "weather"],
    }.items():
        assert await slugs(people.author, search=search) == expected, search


@pytest.mark.parametrize(
    "search",
    ["%", "_", "*", '"', "'", "''", "weather OR tides", "NOT tides", "NEAR(weather tides)", 'weather" OR "tides', "(",
     "words:weather", "^weather tides", "weather:* | tides", "!tides weather", "weather <-> tides", "\\", "{q}",
     "weather'); DROP TABLE connectors; --", "+", "&", "\u200b", "\ufdfa" * 100, "a" * 200],
)  # fmt: skip
async def test_what_is_searched_is_never_read_as_a_query_language(people: People, search: str) -> None:
    await people.author.save("weather", **PLAIN | {"name": "Weather"})
    await people.author.save("tides", **PLAIN | {"name": "Tides"})

    assert await slugs(people.author, search=search) == []
    assert await slugs(people.author) == ["tides", "weather"]


async def test_a_connector_is_found_by_what_was_saved_or_published_last(people: People) -> None:
    await people.publish(await people.author.save("weather", description="Rain"))
    await people.author.save("weather", base_revision=1, description="Snow")

    assert await slugs(people.author, search="snow") == ["weather"]
    assert await slugs(people.author, search="rain") == []
    assert await slugs(people.viewer, search="rain") == ["weather"]
    assert await slugs(people.viewer, search="snow") == []


async def test_lists_are_filtered_by_what_the_caller_is_shown(people: People) -> None:
    await people.publish(await people.author.save("weather", type="CRM"))
    await people.author.save("weather", base_revision=1, type="DMS")
    await people.author.save("tides", type="DMS")

    assert await slugs(people.author, type="DMS") == ["tides", "weather"]
    assert await slugs(people.author, type="CRM") == []
    assert await slugs(people.viewer, type="CRM") == ["weather"]
    assert await slugs(people.author, state="draft") == ["tides"]
    assert await slugs(people.author, state="published", type="DMS", search="wea") == ["weather"]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({}, "abcde"),
        ({"descending": True}, "edcba"),
        ({"sort": "name"}, "dcabe"),
        ({"sort": "name", "descending": True}, "eabcd"),
        ({"sort": "type"}, "beacd"),
        ({"sort": "type", "descending": True}, "acdbe"),
        ({"sort": "state"}, "bcdea"),
        ({"sort": "state", "descending": True}, "abcde"),
    ],
)
async def test_lists_are_sorted_and_paged_without_gap_or_repeat(
    people: People, order: dict[str, object], expected: str
) -> None:
    for slug, name, kind in (("b", "Gamma", "CRM"), ("c", "beta", "DMS"), ("d", "Alpha", "DMS"), ("e", "Émile", "CRM")):
        await people.author.save(slug, name=name, type=kind)
    await people.publish(await people.author.save("a", name="gamma", type="DMS"))

    assert [row.slug for row in await in_pages(people.author, **order)] == list(expected)


@pytest.mark.parametrize("descending", [False, True])
async def test_lists_are_sorted_by_when_they_changed(people: People, descending: bool) -> None:
    for slug in "bca":
        await people.author.save(slug)

    rows = await in_pages(people.author, sort="changed", descending=descending)

    by_slug = sorted(rows, key=lambda row: row.slug)
    assert rows == sorted(by_slug, key=lambda row: row.changed_at, reverse=descending)
    assert [row.slug for row in by_slug] == ["a", "b", "c"]


async def in_pages(person: Person, **query: object) -> list[ConnectorRow]:
    """All rows, two at a time."""
    rows: list[ConnectorRow] = []
    after = None
    while True:
        asked = ListConnectors.model_validate({**query, "limit": 2, "after": after})
        page = await person.ask("connector.list", asked, ConnectorPage)
        rows += page.connectors
        if (after := page.next_after) is None:
            return rows


async def test_a_page_of_another_list_is_refused(people: People) -> None:
    for slug in ("a", "b"):
        await people.author.save(slug)
    page = await people.author.ask("connector.list", ListConnectors(limit=1, sort="name"), ConnectorPage)

    for query in (
        {"sort": "type", "after": page.next_after},
        {"sort": "name", "after": "a"},
        {"sort": "name", "after": "\u00e9"},
    ):
        refused = await people.author.refused("connector.list", ListConnectors.model_validate(query))
        assert (refused.code, "sorted by" in refused.detail) == ("invalid-request", True)


async def test_an_unpublished_name_is_not_found_by_others(people: People) -> None:
    await people.publish(await people.author.save("weather"))
    await people.author.save("weather", base_revision=1, name="Secret plans")

    assert await slugs(people.viewer, search="secret") == []
    assert await slugs(people.author, search="secret") == ["weather"]


async def test_an_enterprises_own_hides_the_catalogues_twin(people: People) -> None:
    await people.author.save("maps", name="Ours")
    await people.publish(await people.platform.save("maps", name="Theirs"))

    authors = await people.author.ask("connector.list", ListConnectors(), ConnectorPage)
    viewers = await people.viewer.ask("connector.list", ListConnectors(), ConnectorPage)

    assert [(row.owner, row.name, row.state) for row in authors.connectors] == [("acme", "Ours", "draft")]
    assert [(row.owner, row.name, row.state) for row in viewers.connectors] == [("platform", "Theirs", "published")]
    assert (await people.stranger.refused("connector.show", ShowConnector(slug="maps"))).code == "forbidden"


async def test_lists_are_paged_in_the_same_order_everywhere(people: People) -> None:
    for slug in ("b", "a-2", "a1", "a", "ab"):
        await people.author.save(slug)

    pages, after = [], None
    while True:
        page = await people.author.ask("connector.list", ListConnectors(limit=2, after=after), ConnectorPage)
        pages.append([row.slug for row in page.connectors])
        if (after := page.next_after) is None:
            break

    assert pages == [["a", "a-2"], ["a1", "ab"], ["b"]]
