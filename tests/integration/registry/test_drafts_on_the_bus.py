"""Drafts over the bus: saved, read, staged, and never overwritten."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from nats.js import JetStreamContext

from shared.contracts.commands import Draft, DraftSaved, GetDraft, SaveDraft, StagedDraft, StageDraft
from shared.contracts.errors import DibopError
from shared.contracts.template import MAX_TEMPLATE_BYTES, canonical_json
from shared.messaging.objects import Documents
from shared.persistence.engine import Database
from tests.integration.registry.conftest import People
from tests.support.connectors import document, operation
from tests.support.polling import eventually

pytestmark = pytest.mark.usefixtures("registry")


async def test_a_draft_comes_back_as_it_was_written(people: People) -> None:
    odd = document(operations=[operation("now", sample={"q": "Zürich \u0000 😀"})]) | {"x-z": 1, "x-a": 1.5}
    await people.author.ask("draft.save", SaveDraft(slug="weather", document=odd), DraftSaved)

    draft = await people.colleague.ask("draft.get", GetDraft(slug="weather"), Draft)

    assert draft.document == odd
    assert list(draft.document) == list(odd)
    assert (draft.revision, draft.saved_by, draft.owner) == (1, "ada", "acme")


async def test_a_stale_save_is_refused_with_what_changed(people: People) -> None:
    await people.author.save()
    await people.colleague.save(base_revision=1, base_url="https://b.example.com")
    await people.colleague.save(
        base_revision=2, base_url="https://b.example.com", operations=[operation("now"), operation("later")]
    )

    stale = SaveDraft(slug="weather", document=document(description="Mine."), base_revision=1)
    refused = await people.author.refused("draft.save", stale)

    assert refused.code == "conflict"
    for told in ("revision 3", "'bob'", "base_url (changed)", "operation 'later' (added)", "'tomorrow' (removed)"):
        assert told in refused.detail
    assert {error["path"] for error in refused.errors} >= {"/base_url"}
    kept = await people.author.ask("draft.get", GetDraft(slug="weather"), Draft)
    assert (kept.revision, kept.document["base_url"]) == (3, "https://b.example.com")


async def test_of_saves_at_once_exactly_one_wins(people: People) -> None:
    await people.author.save()

    outcomes = await asyncio.gather(
        *(
            person.save(base_revision=1, description=f"Number {number}.")
            for number, person in enumerate([people.author, people.colleague] * 5)
        ),
        return_exceptions=True,
    )

    won = [outcome for outcome in outcomes if isinstance(outcome, DraftSaved)]
    lost = [outcome for outcome in outcomes if isinstance(outcome, DibopError)]
    assert [saved.revision for saved in won] == [2]
    assert {error.code for error in lost} == {"conflict"}
    assert len(lost) == 9
    assert [entry.details["revision"] for entry in await people.author.audit()] == [2, 1]


async def test_of_first_saves_at_once_exactly_one_makes_the_draft(people: People) -> None:
    outcomes = await asyncio.gather(
        *(people.author.save(description=f"Number {number}.") for number in range(8)), return_exceptions=True
    )

    assert sum(isinstance(outcome, DraftSaved) for outcome in outcomes) == 1
    assert {outcome.code for outcome in outcomes if isinstance(outcome, DibopError)} == {"conflict"}


async def test_a_draft_is_staged_for_executors(people: People, js: JetStreamContext) -> None:
    saved = await people.author.save()

    staged = await people.publisher.ask("draft.stage", StageDraft(slug="weather"), StagedDraft)

    assert staged.digest == saved.digest
    assert await Documents(js).get(saved.digest) == canonical_json(document())


async def test_a_large_document_is_saved_and_read(people: People) -> None:
    large = document(description="", **{"x-notes": "é" * (MAX_TEMPLATE_BYTES // 2 - 1000)})

    saved = await people.author.ask("draft.save", SaveDraft(slug="weather", document=large), DraftSaved)
    draft = await people.author.ask("draft.get", GetDraft(slug="weather"), Draft)

    assert (saved.errors, draft.document) == ([], large)


@pytest.mark.parametrize("size", [MAX_TEMPLATE_BYTES, MAX_TEMPLATE_BYTES + 200_000, 5_000_000])
async def test_a_document_over_the_limit_is_refused_with_its_size(people: People, size: int) -> None:
    refused = await people.author.refused("draft.save", {"slug": "weather", "document": {"x-notes": "a" * size}})

    assert refused.code == "invalid-request"
    assert "bytes" in refused.detail
    assert (await people.author.save()).revision == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'"text"',
        b"null",
        b"{",
        b"[" * 100_000,
        b'{"slug": "weather", "document": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
        b'{"slug": "weather", "document": {"n": NaN}}',
        b'{"slug": "weather", "document": {"n": 1e999}}',
        b'{"slug": "weather", "document": {"n": 123456789012345678901234567890}}',
        b'{"slug": "weather", "document": {"n": "\\ud800"}}',
        b'{"slug": "weather", "document": {}, "base_revision": "1"}',
        b'{"slug": "weather", "document": {}, "base_revision": 0}',
        b'{"slug": "Weather", "document": {}}',
        b'{"slug": "weather\\n", "document": {}}',
        b'{"slug": "weather", "document": {}, "revision": 1}',
        b'{"slug": "weather", "document": []}',
    ],
    ids=lambda body: body[:48].decode(errors="replace"),
)
async def test_junk_gets_one_clear_refusal_and_the_service_lives(people: People, body: bytes) -> None:
    refused = await people.author.refused("draft.save", body)

    assert refused.code == "invalid-request"
    assert refused.detail
    assert (await people.author.save()).revision == 1


async def test_an_enormous_base_revision_is_a_conflict(people: People) -> None:
    await people.author.save()

    saving = {"slug": "weather", "document": document(name="Other"), "base_revision": 2**70}

    assert (await people.author.refused("draft.save", saving)).code == "conflict"


async def test_a_document_of_nothing_but_problems_is_answered(people: People) -> None:
    awful: dict[str, Any] = {f"unknown_{number}": number for number in range(20_000)}

    saved = await people.author.ask("draft.save", SaveDraft(slug="weather", document=awful), DraftSaved)

    assert 200 < len(saved.errors) < 300
    assert (await people.author.ask("draft.get", GetDraft(slug="weather"), Draft)).document == awful


async def test_strangers_and_viewers_are_kept_out(people: People) -> None:
    await people.author.save()

    saving = SaveDraft(slug="weather", document=document(name="Other"), base_revision=1)
    assert (await people.stranger.refused("draft.save", saving)).code == "forbidden"
    assert (await people.stranger.refused("draft.get", GetDraft(slug="weather"))).code == "forbidden"
    assert (await people.viewer.refused("draft.save", saving)).code == "forbidden"
    assert (await people.viewer.refused("draft.get", GetDraft(slug="weather"))).code == "not-found"


async def test_a_saved_draft_is_told_once(people: People, js: JetStreamContext) -> None:
    await people.author.save()
    await people.author.save()

    async def told() -> int:
        return (await js.stream_info("EVENTS", subjects_filter="evt.v1.acme.>")).state.messages

    await eventually(told, what="the event")
    message = await js.get_last_msg("EVENTS", "evt.v1.acme.connector.weather.draft_saved", direct=True)
    assert message.headers is not None
    assert message.headers["ce-type"] == "dibop.connector.draft_saved"
    assert await told() == 1


async def test_the_log_and_the_audit_know_the_request(people: People, registry: Database) -> None:
    await people.author.save()

    (entry,) = await people.admin.audit(noun="connector", identifier="weather")

    assert (entry.actor, entry.action, entry.request_id, entry.enterprise) == ("ada", "draft.save", "r-1", "acme")
