"""Projections that differ from the database are found and mended, and those that do not are left alone."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from nats.js import JetStreamContext
from nats.js.errors import KeyNotFoundError

from shared.contracts import subjects
from shared.contracts.commands import (
    ChangeEnterprise,
    CheckProjection,
    Connection,
    ConnectionDeleted,
    DeleteConnection,
    DraftSaved,
    Enterprise,
    ProjectionPage,
    ProjectionPart,
    RebuildProjection,
    VersionAdded,
)
from shared.contracts.projections import CatalogueEntry
from shared.messaging.bootstrap import bootstrap, key_value_stream, object_stream
from shared.messaging.objects import Documents
from tests.integration.registry.conftest import People, all_heard
from tests.support.connectors import connection
from tests.support.polling import eventually

PARTS: tuple[ProjectionPart, ...] = ("templates", "catalogue", "connections", "enterprises")

pytestmark = pytest.mark.usefixtures("registry")


@pytest.fixture
async def saved(people: People, js: JetStreamContext, registry: object) -> DraftSaved:
    """A published connector with a connection, in an enterprise of good standing, all projected."""
    saved = await people.author.save()
    added = await people.publish(saved)
    await catalogue(js, entry_of(added))
    await people.admin.ask("connection.create", connection(), Connection)
    told = ChangeEnterprise(id="acme", what="registered", name="Acme")
    await people.platform.ask("enterprise.change", told, Enterprise)
    # its own event comes back to it, and has it write the entry once more
    await eventually(lambda: all_heard(js))
    return saved


def entry_of(added: VersionAdded) -> CatalogueEntry:
    return msgspec.convert(added.model_dump(exclude={"key"}), CatalogueEntry)


async def catalogue(js: JetStreamContext, entry: CatalogueEntry) -> None:
    """Write the entry, as the publisher does."""
    kv = await js.key_value(subjects.CATALOGUE_BUCKET)
    await kv.put(subjects.catalogue_key(entry.owner, entry.slug), msgspec.json.encode(entry))


async def drifts(people: People, *, limit: int = 200, rebuild: bool = False) -> dict[str, str]:
    """What differs, by part and key, on all pages of all parts."""
    return {
        f"{page.part} {each.key}": each.drift
        for page in await pages(people, limit=limit, rebuild=rebuild)
        for each in page.differences
    }


async def pages(people: People, *, limit: int = 200, rebuild: bool = False) -> list[ProjectionPage]:
    found = []
    for part in PARTS:
        after: str | None = None
        while True:
            kind, verb = (RebuildProjection, "rebuild") if rebuild else (CheckProjection, "check")
            query = kind(part=part, after=after, limit=limit)
            page = await people.platform.ask(f"projection.{verb}", query, ProjectionPage)
            found.append(page)
            after = page.next_after
            if after is None:
                break
    return found


@pytest.mark.usefixtures("saved")
async def test_what_is_right_is_left_alone(people: People, js: JetStreamContext) -> None:
    kv = await js.key_value(subjects.CONNECTIONS_BUCKET)
    before = (await kv.get("acme.weather.default")).revision

    assert await drifts(people) == {}
    assert await drifts(people, rebuild=True, limit=1) == {}

    assert (await kv.get("acme.weather.default")).revision == before
    assert "projection.rebuild" not in {each.action for each in await people.platform.audit()}


async def test_every_kind_of_drift_is_found_and_mended(people: People, js: JetStreamContext, saved: DraftSaved) -> None:
    connections = await js.key_value(subjects.CONNECTIONS_BUCKET)
    enterprises = await js.key_value(subjects.ENTERPRISES_BUCKET)
    catalogued = await js.key_value(subjects.CATALOGUE_BUCKET)
    right = {kv: await kv.get(key) for kv, key in ((connections, "acme.weather.default"), (enterprises, "acme"))}
    entry = msgspec.json.decode((await catalogued.get("acme.weather")).value or b"", type=CatalogueEntry)
    await catalogue(js, msgspec.structs.replace(entry, generation=entry.generation + 7))
    await catalogue(js, msgspec.structs.replace(entry, slug="gone"))
    await connections.delete("acme.weather.default")
    await connections.put("odd", b"{}")
    await enterprises.put("acme", b"\xff no JSON")
    await js.purge_stream(object_stream(subjects.TEMPLATES_BUCKET))
    found = {
        f"templates {saved.digest}": "missing",
        "catalogue acme.weather": "ahead",
        "catalogue acme.gone": "foreign",
        "connections acme.weather.default": "missing",
        "connections odd": "foreign",
        "enterprises acme": "damaged",
    }

    assert await drifts(people) == found
    assert await drifts(people, limit=1) == found
    assert await drifts(people, rebuild=True) == found
    assert await drifts(people) == {}

    for kv, before in right.items():
        assert (await kv.get(before.key)).value == before.value
    assert msgspec.json.decode((await catalogued.get("acme.weather")).value or b"", type=CatalogueEntry) == entry
    with pytest.raises(KeyNotFoundError):
        await catalogued.get("acme.gone")
    assert await Documents(js).get(saved.digest) is not None
    told = [each.details for each in await people.platform.audit() if each.action == "projection.rebuild"]
    assert {"part": "catalogue", "mended": 1} in told


async def test_stale_and_different_entries_are_brought_back(
    people: People, js: JetStreamContext, saved: DraftSaved
) -> None:
    kv = await js.key_value(subjects.CATALOGUE_BUCKET)
    entry = msgspec.json.decode((await kv.get("acme.weather")).value or b"", type=CatalogueEntry)
    for changed, drift in (
        (msgspec.structs.replace(entry, generation=entry.generation - 1), "stale"),
        (msgspec.structs.replace(entry, versions=[]), "different"),
    ):
        await catalogue(js, changed)
        assert await drifts(people, rebuild=True) == {"catalogue acme.weather": drift}
        assert msgspec.json.decode((await kv.get("acme.weather")).value or b"", type=CatalogueEntry) == entry
    assert saved.digest == entry.versions[0].digest


async def test_a_document_whose_parts_are_gone_is_restored(
    people: People, js: JetStreamContext, saved: DraftSaved
) -> None:
    await js.purge_stream(object_stream(subjects.TEMPLATES_BUCKET), subject=f"$O.{subjects.TEMPLATES_BUCKET}.C.>")

    assert await drifts(people, rebuild=True) == {f"templates {saved.digest}": "damaged"}
    assert await Documents(js).get(saved.digest) is not None


@pytest.mark.usefixtures("saved")
async def test_buckets_that_were_lost_are_filled_again(people: People, js: JetStreamContext) -> None:
    for stream in (key_value_stream(subjects.CONNECTIONS_BUCKET), key_value_stream(subjects.CATALOGUE_BUCKET)):
        await js.delete_stream(stream)
    await bootstrap(js)

    assert await drifts(people, rebuild=True) == {
        "catalogue acme.weather": "missing",
        "connections acme.weather.default": "missing",
    }
    assert await drifts(people) == {}


@pytest.mark.usefixtures("saved")
async def test_what_changes_while_it_is_rebuilt_ends_as_the_database_says(people: People, js: JetStreamContext) -> None:
    async def come_and_go(name: str) -> None:
        for _ in range(5):
            await people.admin.ask("connection.create", connection(name=name), Connection)
            gone = DeleteConnection(connector="weather", name=name)
            await people.admin.ask("connection.delete", gone, ConnectionDeleted)

    names = ("first", "second", "third")
    await asyncio.gather(*(come_and_go(name) for name in names), *(pages(people, rebuild=True) for _ in range(3)))

    assert await drifts(people) == {}
    assert await (await js.key_value(subjects.CONNECTIONS_BUCKET)).keys() == ["acme.weather.default"]


async def test_who_may_not_and_what_is_no_page_is_refused(people: People) -> None:
    query = CheckProjection(part="catalogue")
    assert (await people.author.refused("projection.check", query)).code == "forbidden"
    assert (await people.author.refused("projection.rebuild", query)).code == "forbidden"
    odd = await people.platform.refused("projection.check", CheckProjection(part="catalogue", after="nowhere"))
    assert (odd.code, "Begin without one" in odd.detail) == ("invalid-request", True)
