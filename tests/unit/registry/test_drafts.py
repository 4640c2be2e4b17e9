"""Saving, reading and staging drafts."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

import pytest

from services.registry.handlers import drafts, versions
from services.registry.handlers.ports import Caller
from shared.contracts.commands import AddVersion, GetDraft, SaveDraft, StageDraft
from shared.contracts.errors import DibopError
from shared.contracts.template import canonical_json, document_digest
from shared.security.principals import Role
from tests.support.connectors import document, operation
from tests.unit.registry.conftest import caller
from tests.unit.registry.fakes import MemoryProjections, MemoryStore

FIRST = SaveDraft(slug="weather", document=document())
SECOND = SaveDraft(slug="weather", document=document(description="Mended."), base_revision=1)


async def test_the_first_save_makes_revision_1(store: MemoryStore, author: Caller) -> None:
    saved = await drafts.save(store, author, FIRST)

    assert (saved.owner, saved.revision, saved.changed, saved.errors) == ("acme", 1, True, [])
    assert saved.digest == document_digest(document())


async def test_a_save_on_the_current_revision_makes_the_next(store: MemoryStore, author: Caller) -> None:
    await drafts.save(store, author, FIRST)

    assert (await drafts.save(store, author, SECOND)).revision == 2
    assert (await drafts.get(store, author, GetDraft(slug="weather"))).document["description"] == "Mended."


async def test_a_change_is_audited_and_told_once(store: MemoryStore, author: Caller) -> None:
    await drafts.save(store, author, FIRST)

    (entry,) = store.state.audit
    assert (entry.actor, entry.action, entry.noun, entry.identifier, entry.request_id) == (
        "ada",
        "draft.save",
        "connector",
        "weather",
        "r-1",
    )
    (event,) = store.state.events
    assert event.subject == "evt.v1.acme.connector.weather.draft_saved"
    assert event.data["revision"] == 1


@pytest.mark.parametrize("base", [None, 1, 7])
async def test_the_same_document_is_no_change(store: MemoryStore, author: Caller, base: int | None) -> None:
    await drafts.save(store, author, FIRST)

    again = await drafts.save(store, author, FIRST.model_copy(update={"base_revision": base}))

    assert (again.revision, again.changed) == (1, False)
    assert len(store.state.audit) == len(store.state.events) == 1


@pytest.mark.parametrize(
    ("base", "told"), [(1, "description (changed)"), (None, "names no revision"), (9, "not exist")]
)
async def test_a_stale_save_is_refused_and_changes_nothing(
    store: MemoryStore, author: Caller, base: int | None, told: str
) -> None:
    await drafts.save(store, author, FIRST)
    await drafts.save(store, author, SECOND)

    with pytest.raises(DibopError, match="revision 2") as refused:
        await drafts.save(store, author, SaveDraft(slug="weather", document=document(name="Mine"), base_revision=base))

    assert refused.value.code == "conflict"
    assert told in refused.value.detail
    assert len(store.state.revisions["acme", "weather"]) == 2


async def test_a_base_without_a_draft_is_refused(store: MemoryStore, author: Caller) -> None:
    with pytest.raises(DibopError, match="Save without base_revision") as refused:
        await drafts.save(store, author, FIRST.model_copy(update={"base_revision": 1}))

    assert refused.value.code == "not-found"


@pytest.mark.parametrize(
    "body", [{}, {"name": 7, "operations": "none"}, {"slug": "other"}, document(auth_type="magic")]
)
async def test_an_invalid_document_is_saved_with_its_errors(
    store: MemoryStore, author: Caller, projections: MemoryProjections, body: dict[str, object]
) -> None:
    saved = await drafts.save(store, author, SaveDraft(slug="weather", document=body))

    assert saved.errors
    got = await drafts.get(store, author, GetDraft(slug="weather"))
    assert (got.document, got.errors) == (body, saved.errors)
    with pytest.raises(DibopError) as refused:
        await drafts.stage(store, projections, author, StageDraft(slug="weather"))
    assert refused.value.code == "invalid-template"
    assert len(refused.value.errors) == len(saved.errors)
    assert projections.documents == {}


async def test_staging_puts_the_canonical_document_under_its_digest(
    store: MemoryStore, author: Caller, publisher: Caller, projections: MemoryProjections
) -> None:
    saved = await drafts.save(store, author, FIRST)

    staged = await drafts.stage(store, projections, publisher, StageDraft(slug="weather"))

    assert projections.documents == {saved.digest: canonical_json(document())}
    assert list(staged.operations) == ["now", "tomorrow"]
    assert all(digest.startswith("sha256:") for digest in staged.operations.values())


async def test_only_the_edited_operation_gets_another_digest(
    store: MemoryStore, author: Caller, projections: MemoryProjections
) -> None:
    await drafts.save(store, author, FIRST)
    before = (await drafts.stage(store, projections, author, StageDraft(slug="weather"))).operations
    edited = document(operations=[operation("now"), operation("tomorrow", path="/then")])
    await drafts.save(store, author, SaveDraft(slug="weather", document=edited, base_revision=1))

    after = (await drafts.stage(store, projections, author, StageDraft(slug="weather"))).operations

    assert after["now"] == before["now"]
    assert after["tomorrow"] != before["tomorrow"]


async def test_a_slug_of_the_catalogue_is_taken(
    store: MemoryStore,
    author: Caller,
    platform: Caller,
    catalogue_publisher: Caller,
    projections: MemoryProjections,
) -> None:
    saved = await drafts.save(store, platform, FIRST)
    version = AddVersion(
        publication_id="p-1",
        slug="weather",
        version="1.0.0",
        digest=saved.digest,
        scope="catalogue",
        revision=1,
        actor="pat",
    )
    await versions.add(store, projections, catalogue_publisher, version)

    with pytest.raises(DibopError) as refused:
        await drafts.save(store, author, FIRST)

    assert refused.value.code == "already-exists"


async def test_a_mere_draft_of_the_platform_takes_no_slug(store: MemoryStore, author: Caller, platform: Caller) -> None:
    await drafts.save(store, platform, FIRST)

    assert (await drafts.save(store, author, FIRST)).revision == 1


async def test_who_may_not_edit_may_not_save(store: MemoryStore, viewer: Caller, stranger: Caller) -> None:
    for person in (viewer, stranger):
        with pytest.raises(DibopError) as refused:
            await drafts.save(store, person, FIRST)
        assert refused.value.code == "forbidden"


async def test_who_may_not_see_a_draft_cannot_tell_whether_it_is_there(
    store: MemoryStore, author: Caller, viewer: Caller
) -> None:
    admin = caller("pat", "platform", Role.PLATFORM_ADMIN, "acme")
    for person in (viewer, admin):
        answers = []
        for slug in ("weather", "nothing"):
            with pytest.raises(DibopError) as refused:
                await drafts.get(store, person, GetDraft(slug=slug))
            answers.append((refused.value.code, refused.value.detail.replace(slug, "…")))
        await drafts.save(store, author, FIRST)
        with pytest.raises(DibopError) as refused:
            await drafts.get(store, person, GetDraft(slug="weather"))
        answers.append((refused.value.code, refused.value.detail.replace("weather", "…")))
        assert len(set(answers)) == 1
        assert answers[0][0] == "not-found"


async def test_reserved_names_are_no_enterprises(store: MemoryStore) -> None:
    with pytest.raises(DibopError, match="reserved") as refused:
        await drafts.save(store, caller("ada", "svc", Role.ENTERPRISE_ADMIN_SDK), FIRST)

    assert refused.value.code == "invalid-request"


DRAWING = '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0" {}></path></svg>'


def with_icon(text: str) -> dict[str, Any]:
    return document(icon="data:image/svg+xml," + quote(text))


async def test_an_icon_is_stored_clean_and_saving_the_same_file_again_is_no_change(
    store: MemoryStore, author: Caller
) -> None:
    command = SaveDraft(slug="weather", document=with_icon(DRAWING.format('onload="alert(1)"')))

    saved = await drafts.save(store, author, command)
    again = await drafts.save(store, author, command)

    kept = (await drafts.get(store, author, GetDraft(slug="weather"))).document
    image = base64.b64decode(kept["icon"].partition(",")[2])
    assert b"<path" in image
    assert b"alert" not in image
    assert saved.digest == document_digest(kept)
    assert (again.revision, again.changed) == (1, False)


async def test_what_is_no_image_is_never_stored(store: MemoryStore, author: Caller) -> None:
    with pytest.raises(DibopError) as refused:
        await drafts.save(store, author, SaveDraft(slug="weather", document=with_icon("<svg><script/>")))

    assert refused.value.code == "invalid-template"
    assert [entry["path"] for entry in refused.value.errors] == ["/icon"]
    assert store.state.audit == []
