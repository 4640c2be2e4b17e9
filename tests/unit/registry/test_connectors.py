"""Listing and showing connectors; adding and reading versions."""

from __future__ import annotations

from typing import Any

import pytest

from services.registry.handlers import connectors, drafts, versions
from services.registry.handlers.ports import Caller
from shared.contracts.commands import AddVersion, GetVersion, ListConnectors, SaveDraft, ShowConnector
from shared.contracts.errors import DibopError
from tests.support.connectors import document
from tests.unit.registry.fakes import MemoryProjections, MemoryStore


class Shop:
    """Saves and publishes in a few words."""

    def __init__(self, store: MemoryStore, projections: MemoryProjections, author: Caller, publisher: Caller) -> None:
        self.store, self.projections, self.author, self.publisher = store, projections, author, publisher

    async def save(self, slug: str = "weather", **changes: Any) -> AddVersion:
        """A saved draft, as the command that would publish it."""
        current = self.store.state.revisions.get((self.author.enterprise, slug))
        base = current[-1].revision.revision if current else None
        command = SaveDraft(slug=slug, document=document(slug, **changes), base_revision=base)
        saved = await drafts.save(self.store, self.author, command)
        return AddVersion(
            publication_id=f"{saved.owner}-{slug}-{saved.revision}",
            slug=slug,
            version=f"1.{saved.revision - 1}.0",
            digest=saved.digest,
            scope="catalogue" if self.author.enterprise == "platform" else "enterprise",
            revision=saved.revision,
            actor=self.author.subject,
        )

    async def add(self, command: AddVersion) -> Any:
        return await versions.add(self.store, self.projections, self.publisher, command)


@pytest.fixture
def acme(store: MemoryStore, projections: MemoryProjections, author: Caller, publisher: Caller) -> Shop:
    return Shop(store, projections, author, publisher)


@pytest.fixture
def catalogue(
    store: MemoryStore, projections: MemoryProjections, platform: Caller, catalogue_publisher: Caller
) -> Shop:
    return Shop(store, projections, platform, catalogue_publisher)


async def test_a_version_is_added_with_its_document_in_the_store(acme: Shop) -> None:
    command = await acme.save()

    entry = await acme.add(command)

    assert (entry.key, entry.generation, [v.version for v in entry.versions]) == ("acme.weather", 1, ["1.0.0"])
    assert list(acme.projections.documents) == [command.digest]
    assert acme.store.state.audit[-1].action == "version.add"
    assert acme.store.state.audit[-1].actor == "ada"


async def test_nothing_is_added_while_the_document_cannot_be_stored(acme: Shop) -> None:
    command = await acme.save()
    acme.projections.broken = True

    with pytest.raises(ConnectionError):
        await acme.add(command)

    assert acme.store.state.versions == []


async def test_repeating_a_publication_adds_nothing(acme: Shop) -> None:
    command = await acme.save()
    entry = await acme.add(command)
    acme.projections.documents.clear()

    assert await acme.add(command) == entry
    assert list(acme.projections.documents) == [command.digest]
    assert len(acme.store.state.audit) == 2


async def test_the_generation_grows_with_each_version(acme: Shop) -> None:
    await acme.add(await acme.save())

    entry = await acme.add(await acme.save(description="More."))

    assert (entry.generation, [v.version for v in entry.versions]) == (2, ["1.0.0", "1.1.0"])


@pytest.mark.parametrize(
    ("changes", "code", "told"),
    [
        ({"publication_id": "p-2"}, "conflict", "Version 1.0.0"),
        ({"version": "2.0.0"}, "conflict", "Publication 'acme-weather-1'"),
        ({"revision": 9}, "not-found", "no revision 9"),
        ({"revision": 2**70}, "not-found", "no revision"),
        ({"slug": "nothing"}, "not-found", "'nothing'"),
        ({"digest": "sha256:" + "0" * 64}, "conflict", "has the digest"),
        ({"scope": "catalogue"}, "invalid-request", "'catalogue'"),
    ],
)
async def test_what_does_not_fit_is_refused(acme: Shop, changes: dict[str, Any], code: str, told: str) -> None:
    command = await acme.save()
    await acme.add(command)

    with pytest.raises(DibopError) as refused:
        await acme.add(command.model_copy(update=changes))

    assert refused.value.code == code
    assert told in refused.value.detail
    assert len(acme.store.state.versions) == 1


async def test_only_the_publisher_adds_versions(acme: Shop) -> None:
    command = await acme.save()

    with pytest.raises(DibopError) as refused:
        await versions.add(acme.store, acme.projections, acme.author, command)

    assert refused.value.code == "forbidden"


async def test_an_invalid_revision_never_becomes_a_version(acme: Shop) -> None:
    command = await acme.save(auth_type="magic")

    with pytest.raises(DibopError) as refused:
        await acme.add(command)

    assert refused.value.code == "invalid-template"


async def test_a_version_is_read_as_it_was_published(acme: Shop, viewer: Caller) -> None:
    await acme.add(await acme.save())
    await acme.add(await acme.save(description="More."))
    await acme.save(description="Not published.")

    newest = await versions.get(acme.store, viewer, GetVersion(slug="weather"))
    first = await versions.get(acme.store, viewer, GetVersion(slug="weather", version="1.0.0"))

    assert (newest.version, newest.document["description"]) == ("1.1.0", "More.")
    assert first.document == document()
    with pytest.raises(DibopError, match=r"1\.0\.0, 1\.1\.0") as refused:
        await versions.get(acme.store, viewer, GetVersion(slug="weather", version="3.0.0"))
    assert refused.value.code == "not-found"


async def test_an_unknown_connector_is_told_with_the_nearest(acme: Shop) -> None:
    await acme.save()

    for ask in (connectors.show(acme.store, acme.author, ShowConnector(slug="wether")),):
        with pytest.raises(DibopError, match="Did you mean 'weather'"):
            await ask


async def test_drafts_are_shown_to_authors_alone(acme: Shop, viewer: Caller) -> None:
    await acme.save()

    shown = await connectors.show(acme.store, acme.author, ShowConnector(slug="weather"))
    assert (shown.state, shown.draft.revision if shown.draft else None, shown.versions) == ("draft", 1, [])
    with pytest.raises(DibopError) as refused:
        await connectors.show(acme.store, viewer, ShowConnector(slug="weather"))
    assert refused.value.code == "not-found"
    assert "Did you mean" not in refused.value.detail
    assert (await connectors.page(acme.store, viewer, ListConnectors())).connectors == []


async def test_a_viewer_sees_the_published_name_not_the_drafts(acme: Shop, viewer: Caller) -> None:
    await acme.add(await acme.save())
    await acme.save(name="Secret plans")

    shown = await connectors.show(acme.store, viewer, ShowConnector(slug="weather"))
    (row,) = (await connectors.page(acme.store, viewer, ListConnectors())).connectors

    assert (shown.name, shown.draft, shown.state, shown.latest_version) == ("Weather", None, "published", "1.0.0")
    assert (row.name, row.draft_revision, row.latest_version) == ("Weather", None, "1.0.0")


async def test_an_enterprise_sees_its_own_and_the_catalogues(acme: Shop, catalogue: Shop, author: Caller) -> None:
    await catalogue.add(await catalogue.save("maps"))
    await catalogue.save("plans")
    await acme.save("weather")

    page = await connectors.page(acme.store, author, ListConnectors())

    assert [(row.slug, row.owner) for row in page.connectors] == [("maps", "platform"), ("weather", "acme")]
    shown = await connectors.show(acme.store, author, ShowConnector(slug="maps"))
    assert (shown.owner, shown.draft) == ("platform", None)


async def test_an_enterprises_own_wins_over_the_catalogues(acme: Shop, catalogue: Shop, author: Caller) -> None:
    await acme.add(await acme.save())
    await catalogue.add(await catalogue.save(name="Theirs", slug="weather"))

    shown = await connectors.show(acme.store, author, ShowConnector(slug="weather"))
    version = await versions.get(acme.store, author, GetVersion(slug="weather"))

    assert (shown.owner, version.owner) == ("acme", "acme")


async def test_lists_are_paged_by_slug(acme: Shop, author: Caller) -> None:
    for slug in ("a", "b", "c"):
        await acme.save(slug)

    first = await connectors.page(acme.store, author, ListConnectors(limit=2))
    second = await connectors.page(acme.store, author, ListConnectors(limit=2, after=first.next_after))

    assert [row.slug for row in first.connectors + second.connectors] == ["a", "b", "c"]
    assert (first.next_after, second.next_after) == ("b", None)
