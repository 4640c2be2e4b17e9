"""Patches, the history of drafts and the ways back, copies, and drafts that are deleted."""

from __future__ import annotations

from typing import Any

import pytest

from services.registry.handlers import drafts, duplicates, history, versions
from services.registry.handlers.ports import Caller, ConnectionKey, ConnectionRecord
from shared.contracts.commands import (
    AddVersion,
    DeleteConnector,
    DiscardDraft,
    DraftSaved,
    DuplicateConnector,
    GetDraft,
    ListRevisions,
    PatchDraft,
    RestoreDraft,
    SaveDraft,
)
from shared.contracts.errors import DibopError
from tests.support.connectors import document, operation
from tests.unit.registry.fakes import MemoryProjections, MemoryStore


async def save(store: MemoryStore, author: Caller, base: int | None = None, **changes: Any) -> DraftSaved:
    command = SaveDraft(slug="weather", document=document(**changes), base_revision=base)
    return await drafts.save(store, author, command)


async def patch(store: MemoryStore, author: Caller, base: int, **patched: Any) -> DraftSaved:
    return await drafts.patch(store, author, PatchDraft(slug="weather", patch=patched, base_revision=base))


async def publish(store: MemoryStore, publisher: Caller, saved: DraftSaved, version: str = "1.0.0") -> None:
    adding = AddVersion(
        publication_id=f"{publisher.enterprise}-{version}",
        slug=saved.slug,
        version=version,
        digest=saved.digest,
        scope="catalogue" if publisher.enterprise == "platform" else "enterprise",
        revision=saved.revision,
        actor="ada",
    )
    await versions.add(store, MemoryProjections(), publisher, adding)


async def current(store: MemoryStore, author: Caller, slug: str = "weather") -> dict[str, Any]:
    return (await drafts.get(store, author, GetDraft(slug=slug))).document


async def test_a_patch_changes_what_it_names(store: MemoryStore, author: Caller) -> None:
    await save(store, author)

    patched = await patch(store, author, 1, description=None, base_url="https://b.example.com")

    assert (patched.revision, patched.changed, patched.merged, patched.document) == (2, True, False, None)
    expected = document(base_url="https://b.example.com")
    del expected["description"]
    assert await current(store, author) == expected


async def test_a_patch_keeps_what_others_changed_since(store: MemoryStore, author: Caller) -> None:
    await save(store, author)
    await patch(store, author, 1, description="Theirs.")

    merged = await patch(store, author, 1, base_url="https://mine.example.com")

    both = document(description="Theirs.", base_url="https://mine.example.com")
    assert (merged.revision, merged.merged, merged.document) == (3, True, both)
    assert await current(store, author) == both


async def test_a_patched_list_of_operations_is_merged_by_name(store: MemoryStore, author: Caller) -> None:
    await save(store, author)
    await patch(store, author, 1, operations=[operation("now", path="/a"), operation("tomorrow")])

    merged = await patch(store, author, 1, operations=[operation("now"), operation("tomorrow", path="/b")])

    assert [each["path"] for each in (merged.document or {})["operations"]] == ["/a", "/b"]


async def test_what_both_changed_is_refused_and_named(store: MemoryStore, author: Caller) -> None:
    await save(store, author)
    await patch(store, author, 1, description="Theirs.", base_url="https://theirs.example.com")

    with pytest.raises(DibopError) as refused:
        await patch(store, author, 1, base_url="https://mine.example.com")

    assert refused.value.code == "conflict"
    assert "Changed on both sides: base_url (changed)" in refused.value.detail
    told = {error["path"]: error["both"] for error in refused.value.errors}
    assert told == {"/base_url": True, "/description": False}
    assert len(store.state.revisions["acme", "weather"]) == 2


async def test_a_lost_answer_can_be_asked_for_again(store: MemoryStore, author: Caller) -> None:
    await save(store, author)
    first = await patch(store, author, 1, description="Mine.")

    again = await patch(store, author, 1, description="Mine.")

    assert (again.revision, again.digest, again.changed) == (2, first.digest, False)


async def test_a_stale_save_says_whether_it_can_be_merged(store: MemoryStore, author: Caller) -> None:
    await save(store, author)
    await patch(store, author, 1, description="Theirs.")

    with pytest.raises(DibopError, match="Nothing was changed on both sides: repeat with `merge`"):
        await save(store, author, 1, base_url="https://mine.example.com")
    with pytest.raises(DibopError, match="Changed on both sides: description"):
        await save(store, author, 1, description="Mine.")


async def test_a_save_may_ask_to_be_merged(store: MemoryStore, author: Caller) -> None:
    await save(store, author)
    await patch(store, author, 1, description="Theirs.")
    mine = document(base_url="https://mine.example.com")

    merged = await drafts.save(store, author, SaveDraft(slug="weather", document=mine, base_revision=1, merge=True))

    assert merged.document == mine | {"description": "Theirs."}


@pytest.mark.parametrize("base", [2, 10**9])
async def test_a_patch_of_a_revision_to_come_is_refused(store: MemoryStore, author: Caller, base: int) -> None:
    await save(store, author)

    with pytest.raises(DibopError, match=f"revision {base} does not exist"):
        await patch(store, author, base, description="Mine.")


async def test_a_patch_of_no_draft_is_refused(store: MemoryStore, author: Caller) -> None:
    with pytest.raises(DibopError) as refused:
        await patch(store, author, 1, description="Mine.")
    assert refused.value.code == "not-found"


async def test_the_history_tells_who_changed_what(store: MemoryStore, author: Caller, publisher: Caller) -> None:
    await publish(store, publisher, await save(store, author))
    await patch(store, author, 1, description="Mended.")
    await history.restore(store, author, RestoreDraft(slug="weather", revision=1, base_revision=2))

    told = await history.page(store, author, ListRevisions(slug="weather"))

    assert [(each.revision, each.changed, each.restored_from, each.version) for each in told.revisions] == [
        (3, ["description (changed)"], 1, None),
        (2, ["description (changed)"], None, None),
        (1, [], None, "1.0.0"),
    ]
    assert told.next_before is None


async def test_the_history_comes_in_pages(store: MemoryStore, author: Caller) -> None:
    await save(store, author)
    for number in range(1, 5):
        await patch(store, author, number, description=f"{number}.")

    found, before = [], None
    while True:
        told = await history.page(store, author, ListRevisions(slug="weather", limit=2, before=before))
        found += [each.revision for each in told.revisions]
        if (before := told.next_before) is None:
            break

    assert found == [5, 4, 3, 2, 1]


async def test_an_earlier_revision_can_be_read_and_restored(store: MemoryStore, author: Caller) -> None:
    await save(store, author)
    await patch(store, author, 1, description="Mended.")

    earlier = await drafts.get(store, author, GetDraft(slug="weather", revision=1))
    restored = await history.restore(store, author, RestoreDraft(slug="weather", revision=1, base_revision=2))

    assert (earlier.revision, earlier.document) == (1, document())
    assert (restored.revision, restored.digest) == (3, earlier.digest)
    assert await current(store, author) == document()
    assert store.state.audit[-1].action == "draft.restore"
    assert store.state.events[-1].data["restored_from"] == 1


async def test_a_way_back_does_not_go_over_what_others_saved_meanwhile(store: MemoryStore, author: Caller) -> None:
    await save(store, author)
    await patch(store, author, 1, description="Theirs.")

    with pytest.raises(DibopError, match="repeat with base_revision 2") as refused:
        await history.restore(store, author, RestoreDraft(slug="weather", revision=1, base_revision=1))
    assert refused.value.code == "conflict"


async def test_a_revision_that_never_was_is_not_found(store: MemoryStore, author: Caller) -> None:
    await save(store, author)

    with pytest.raises(DibopError, match="no revision 7"):
        await history.restore(store, author, RestoreDraft(slug="weather", revision=7, base_revision=1))
    with pytest.raises(DibopError, match="no revision 7"):
        await drafts.get(store, author, GetDraft(slug="weather", revision=7))


async def test_discarding_goes_back_to_the_latest_version(
    store: MemoryStore, author: Caller, publisher: Caller
) -> None:
    await publish(store, publisher, await save(store, author))
    await publish(store, publisher, await patch(store, author, 1, description="Second."), "1.0.1")
    await patch(store, author, 2, description="Never mind.")

    discarded = await history.discard(store, author, DiscardDraft(slug="weather", base_revision=3))

    assert discarded.revision == 4
    assert (await current(store, author))["description"] == "Second."
    assert store.state.audit[-1].action == "draft.discard"
    assert store.state.audit[-1].details["restored_from"] == 2


async def test_without_a_version_there_is_nothing_to_go_back_to(store: MemoryStore, author: Caller) -> None:
    await save(store, author)

    with pytest.raises(DibopError, match="Nothing of 'weather' is published yet"):
        await history.discard(store, author, DiscardDraft(slug="weather", base_revision=1))


async def test_a_draft_is_duplicated_under_another_slug(store: MemoryStore, author: Caller) -> None:
    await save(store, author)

    copy = await duplicates.duplicate(store, author, DuplicateConnector(slug="weather", new_slug="weather-2"))

    assert (copy.slug, copy.revision, copy.errors) == ("weather-2", 1, [])
    assert await current(store, author, "weather-2") == document("weather-2", name="Weather (copy)")
    assert store.state.audit[-1].details["copied_from"] == "acme.weather"


async def test_a_version_of_the_catalogue_is_duplicated_for_the_enterprise(
    store: MemoryStore, author: Caller, platform: Caller, catalogue_publisher: Caller
) -> None:
    await publish(store, catalogue_publisher, await save(store, platform))
    await patch(store, platform, 1, description="Not published.")

    command = DuplicateConnector(slug="weather", new_slug="our-weather", name="Our weather")
    copy = await duplicates.duplicate(store, author, command)

    assert copy.owner == "acme"
    assert await current(store, author, "our-weather") == document("our-weather", name="Our weather")
    assert store.state.audit[-1].details["copied_from"] == "platform.weather 1.0.0"


@pytest.mark.parametrize("taken", ["weather", "common"])
async def test_a_copy_takes_no_slug_that_is_there(
    store: MemoryStore, author: Caller, platform: Caller, catalogue_publisher: Caller, taken: str
) -> None:
    common = await drafts.save(store, platform, SaveDraft(slug="common", document=document("common")))
    await publish(store, catalogue_publisher, common)
    await save(store, author)

    with pytest.raises(DibopError) as refused:
        await duplicates.duplicate(store, author, DuplicateConnector(slug="weather", new_slug=taken))
    assert refused.value.code == "already-exists"


async def test_what_nobody_sees_is_not_duplicated(store: MemoryStore, author: Caller, platform: Caller) -> None:
    await save(store, platform)

    with pytest.raises(DibopError) as refused:
        await duplicates.duplicate(store, author, DuplicateConnector(slug="weather", new_slug="mine"))
    assert refused.value.code == "not-found"


async def test_a_draft_that_was_never_published_is_deleted_with_its_history(store: MemoryStore, author: Caller) -> None:
    await save(store, author)

    await duplicates.delete(store, author, DeleteConnector(slug="weather", base_revision=1))

    assert store.state.revisions == {}
    assert store.state.audit[-1].action == "connector.delete"
    assert store.state.events[-1].subject == "evt.v1.acme.connector.weather.deleted"
    assert (await save(store, author)).revision == 1


async def test_what_was_published_is_not_deleted(store: MemoryStore, author: Caller, publisher: Caller) -> None:
    await publish(store, publisher, await save(store, author))

    with pytest.raises(DibopError, match="was published"):
        await duplicates.delete(store, author, DeleteConnector(slug="weather", base_revision=1))


async def test_what_connections_use_is_not_deleted(store: MemoryStore, author: Caller) -> None:
    await save(store, author)
    connection = ConnectionRecord(
        "id", "acme", "weather", "acme", "default", "^1", "https://a.example:443", "", {}, {}, {}, "ada", "now"
    )
    store.state.connections[ConnectionKey("acme", "weather", "default")] = connection

    with pytest.raises(DibopError, match="1 connection of 'weather'"):
        await duplicates.delete(store, author, DeleteConnector(slug="weather", base_revision=1))


async def test_a_deleted_draft_is_not_published(store: MemoryStore, author: Caller, publisher: Caller) -> None:
    saved = await save(store, author)
    await duplicates.delete(store, author, DeleteConnector(slug="weather", base_revision=1))

    with pytest.raises(DibopError, match="no revision 1"):
        await publish(store, publisher, saved)
    await save(store, author, description="Another one.")
    with pytest.raises(DibopError, match="Test and publish the draft as it stands"):
        await publish(store, publisher, saved)


@pytest.mark.parametrize("who", ["viewer", "stranger"])
async def test_only_authors_change_drafts(
    store: MemoryStore, author: Caller, viewer: Caller, stranger: Caller, who: str
) -> None:
    await save(store, author)
    other = {"viewer": viewer, "stranger": stranger}[who]
    commands = [
        drafts.patch(store, other, PatchDraft(slug="weather", patch={}, base_revision=1)),
        history.restore(store, other, RestoreDraft(slug="weather", revision=1, base_revision=1)),
        history.discard(store, other, DiscardDraft(slug="weather", base_revision=1)),
        duplicates.duplicate(store, other, DuplicateConnector(slug="weather", new_slug="copy")),
        duplicates.delete(store, other, DeleteConnector(slug="weather", base_revision=1)),
    ]
    for command in commands:
        with pytest.raises(DibopError) as refused:
            await command
        assert refused.value.code == "forbidden"


async def test_a_viewer_sees_no_history(store: MemoryStore, author: Caller, viewer: Caller) -> None:
    await save(store, author)

    with pytest.raises(DibopError) as refused:
        await history.page(store, viewer, ListRevisions(slug="weather"))
    assert refused.value.code == "not-found"
