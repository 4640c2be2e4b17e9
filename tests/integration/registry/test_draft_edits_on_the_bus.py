"""Edits of one draft by several authors at once, its history, copies and deletion, over the bus."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.contracts import commands
from shared.contracts.commands import (
    Connection,
    ConnectorDeleted,
    DeleteConnector,
    DiscardDraft,
    Draft,
    DraftHistory,
    DraftSaved,
    DuplicateConnector,
    GetDraft,
    GivenCredentials,
    KeptTestCredentials,
    ListRevisions,
    PatchDraft,
    RestoreDraft,
    SaveTestCredentials,
)
from shared.contracts.errors import DibopError
from tests.integration.registry.conftest import People, Person
from tests.support.connectors import connection, document, operation

pytestmark = pytest.mark.usefixtures("registry")


async def patched(person: Person, base: int, **patch: Any) -> DraftSaved:
    command = PatchDraft(slug="weather", patch=patch, base_revision=base)
    return await person.ask("draft.patch", command, DraftSaved)


async def draft(person: Person, slug: str = "weather") -> Draft:
    return await person.ask("draft.get", GetDraft(slug=slug), Draft)


async def test_two_authors_who_save_as_they_type_lose_nothing(people: People) -> None:
    """Each edits its own operation, always from the revision of its last answer, both as fast as they can."""
    names = ["of-ada", "of-bob"]
    await people.author.save(operations=[operation(name) for name in names])

    async def edit(person: Person, name: str, rounds: int) -> None:
        known = await draft(person)
        content, base = known.document, known.revision
        for number in range(1, rounds + 1):
            operations = [
                {**each, "path": f"/{name}/{number}"} if each["operation"] == name else each
                for each in content["operations"]
            ]
            saved = await patched(person, base, operations=operations, **{f"x-{name}": number})
            base = saved.revision
            content = saved.document or {**content, "operations": operations, f"x-{name}": number}

    await asyncio.gather(edit(people.author, "of-ada", 15), edit(people.colleague, "of-bob", 15))

    left = await draft(people.author)
    assert [each["path"] for each in left.document["operations"]] == ["/of-ada/15", "/of-bob/15"]
    assert (left.document["x-of-ada"], left.document["x-of-bob"]) == (15, 15)
    assert left.revision == 31
    told = await people.author.ask("draft.history", ListRevisions(slug="weather"), DraftHistory)
    assert [each.revision for each in told.revisions] == list(range(31, 0, -1))
    assert sum(each.saved_by == "bob" for each in told.revisions) == 15
    assert len([entry for entry in await people.author.audit() if entry.action == "draft.save"]) == 31


async def test_many_patches_of_one_revision_are_all_taken(people: People) -> None:
    await people.author.save()

    saved = await asyncio.gather(
        *(
            patched(person, 1, **{f"x-{number}": number})
            for number, person in enumerate([people.author, people.colleague] * 4)
        )
    )

    assert sorted(each.revision for each in saved) == list(range(2, 10))
    assert (await draft(people.author)).document == document() | {f"x-{number}": number for number in range(8)}


async def test_of_patches_of_the_same_field_one_wins_and_the_others_are_told(people: People) -> None:
    await people.author.save()

    outcomes = await asyncio.gather(
        *(patched(people.author, 1, description=f"Number {number}.") for number in range(6)), return_exceptions=True
    )

    assert sum(isinstance(each, DraftSaved) for each in outcomes) == 1
    lost = [each for each in outcomes if isinstance(each, DibopError)]
    assert {each.code for each in lost} == {"conflict"}
    assert {error["path"]: error["both"] for each in lost for error in each.errors} == {"/description": True}


async def test_history_restore_and_discard(people: People) -> None:
    await people.publish(await people.author.save())
    await patched(people.colleague, 1, base_url="https://b.example.com", **{"x-odd": "Zürich \u0000 😀"})

    restored = await people.author.ask(
        "draft.restore", RestoreDraft(slug="weather", revision=1, base_revision=2), DraftSaved
    )
    again = await people.author.ask(
        "draft.restore", RestoreDraft(slug="weather", revision=2, base_revision=3), DraftSaved
    )
    discarded = await people.colleague.ask("draft.discard", DiscardDraft(slug="weather", base_revision=4), DraftSaved)

    assert (restored.revision, again.revision, discarded.revision) == (3, 4, 5)
    assert (await draft(people.author)).document == document()
    odd = await people.author.ask("draft.get", GetDraft(slug="weather", revision=4), Draft)
    assert odd.document["x-odd"] == "Zürich \u0000 😀"
    told = await people.author.ask("draft.history", ListRevisions(slug="weather", limit=3), DraftHistory)
    assert [(each.revision, each.saved_by, each.restored_from, each.version) for each in told.revisions] == [
        (5, "bob", 1, None),
        (4, "ada", 2, None),
        (3, "ada", 1, None),
    ]
    assert told.revisions[0].changed == ["base_url (changed)", "x-odd (removed)"]
    older = ListRevisions(slug="weather", before=told.next_before)
    rest = (await people.author.ask("draft.history", older, DraftHistory)).revisions
    assert [(each.revision, each.version) for each in rest] == [(2, None), (1, "1.0.0")]


async def test_a_copy_has_a_life_of_its_own(people: People) -> None:
    await people.author.save()
    command = DuplicateConnector(slug="weather", new_slug="weather-eu", name="Weather of Europe")
    copy = await people.colleague.ask("connector.duplicate", command, DraftSaved)

    await patched(people.author, 1, description="Changed.")

    assert (copy.slug, copy.revision) == ("weather-eu", 1)
    assert (await draft(people.author, "weather-eu")).document == document("weather-eu", name="Weather of Europe")
    refused = await people.author.refused("connector.duplicate", command)
    assert refused.code == "already-exists"


async def test_a_deleted_draft_leaves_nothing_behind(people: People) -> None:
    await people.author.save()
    await patched(people.author, 1, description="Changed.")
    given = connection().model_dump(include=set(GivenCredentials.model_fields))
    kept = SaveTestCredentials(**given)
    await people.author.ask("test-credentials.save", kept, KeptTestCredentials)

    stale = await people.colleague.refused("connector.delete", DeleteConnector(slug="weather", base_revision=1))
    await people.author.ask("connector.delete", DeleteConnector(slug="weather", base_revision=2), ConnectorDeleted)

    assert stale.code == "conflict"
    assert (await people.author.refused("draft.get", GetDraft(slug="weather"))).code == "not-found"
    assert (await people.author.refused("draft.history", ListRevisions(slug="weather"))).code == "not-found"
    left = await people.author.ask("test-credentials.list", {}, commands.TestCredentialsList)
    assert left.credentials == []
    assert (await people.author.save()).revision == 1


async def test_what_a_connection_uses_or_was_published_stays(people: People) -> None:
    await people.author.save()
    await people.author.ask("connection.create", connection(), Connection)

    used = await people.author.refused("connector.delete", DeleteConnector(slug="weather", base_revision=1))
    await people.publish(await people.author.save("other"))
    published = await people.author.refused("connector.delete", DeleteConnector(slug="other", base_revision=1))

    assert (used.code, published.code) == ("conflict", "conflict")
    assert "1 connection of 'weather'" in used.detail
    assert "was published" in published.detail
