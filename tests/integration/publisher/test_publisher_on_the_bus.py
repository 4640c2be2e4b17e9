"""The publisher's commands over the bus, with a real registry."""

from __future__ import annotations

import asyncio

import pytest
from nats.js import JetStreamContext
from nats.js.errors import KeyNotFoundError

from shared.contracts import commands
from shared.contracts.errors import DibopError
from shared.contracts.template import canonical_json
from shared.messaging.client import request
from shared.messaging.connection import BusClient
from tests.integration.publisher.conftest import Author, catalogue_entry, events
from tests.support.connectors import document, operation
from tests.support.polling import eventually
from tests.support.stand_in_executor import StandInExecutor, answered
from tests.support.tokens import Tokens

pytestmark = pytest.mark.usefixtures("publisher")


async def test_a_draft_is_tested_through_an_executor_that_can_read_it(
    platform: Author, executor: StandInExecutor
) -> None:
    with_sample = operation("now", sample={"q": "London"})
    saved = await platform.save(operations=[with_sample, operation("file", method="POST")])

    report = await platform.test(timeout=2.5)

    assert {tested.name: tested.outcome for tested in report.operations} == {"now": "pass", "file": "skip"}
    asked = executor.requests["now"]
    assert (asked.owner, asked.digest, asked.parameters, asked.timeout) == (
        "platform",
        saved.digest,
        {"q": "London"},
        2.5,
    )
    assert executor.documents[saved.digest] == canonical_json(
        document(operations=[with_sample, operation("file", method="POST")])
    )
    assert 0 < int(executor.headers["now"]["Dibop-Deadline-Ms"]) <= 120_000


async def test_a_failed_test_says_why(platform: Author, executor: StandInExecutor) -> None:
    await platform.save()
    executor.answers = {
        "now": answered(status_code=500),
        "tomorrow": DibopError("invalid-parameters", "q is missing.", errors=[{"name": "q", "problem": "is missing"}]),
    }

    now, tomorrow = (await platform.test()).operations

    assert (now.outcome, now.status_code) == ("fail", 500)
    assert (tomorrow.outcome, tomorrow.reason) == ("fail", "q is missing.")
    assert tomorrow.error is not None
    assert tomorrow.error["errors"] == [{"name": "q", "problem": "is missing"}]


async def test_without_an_executor_a_test_fails_and_says_so(platform: Author) -> None:
    await platform.save()

    report = await platform.test()

    assert {tested.outcome for tested in report.operations} == {"fail"}
    assert str(report.operations[0].reason).startswith("No executor answers on draft.v1.platform.weather.now.")


async def test_a_test_is_told_of_and_audited(platform: Author, executor: StandInExecutor, js: JetStreamContext) -> None:
    await platform.save()

    report = await platform.test()

    (told,) = await eventually(lambda: events(js, "test_completed"))
    assert (told.data["run_id"], told.data["passed"]) == (report.run_id, 2)

    entry = await eventually(lambda: platform.last_audit("test.run"))
    assert entry is not None
    assert (entry.actor, entry.details["run_id"]) == ("pat", report.run_id)


async def test_a_runs_steps_are_told_while_it_goes_on(
    platform: Author, executor: StandInExecutor, js: JetStreamContext
) -> None:
    await platform.save()
    executor.silent = {"tomorrow"}
    run_id = await platform.start_test()

    async def first_is_done() -> bool:
        told = [event.data["step"] for event in await events(js, "test_progressed")]
        return any((step["operation"], step["outcome"]) == ("now", "pass") for step in told)

    await eventually(first_is_done)
    going = await platform.show_test(run_id)
    assert (going.state, [step.outcome for step in going.operations]) == ("running", ["pass", None])
    with pytest.raises(DibopError, match=f"Your test run {run_id} of 'weather' goes on"):
        await platform.start_test()
    cancelled = await platform.ask("publisher", "test.cancel", {"run_id": run_id}, commands.TestCancelled)

    assert cancelled.changed
    ended = await platform.show_test(run_id)
    assert (ended.state, [step.outcome for step in ended.operations]) == ("cancelled", ["pass", "skip"])
    (told,) = await eventually(lambda: events(js, "test_completed"))
    assert (told.data["state"], told.data["operations"]) == ("cancelled", {"now": "pass", "tomorrow": "skip"})
    page = await platform.ask("publisher", "test.list", {"slug": "weather"}, commands.TestPage)
    assert [(row.run_id, row.passed) for row in page.runs] == [(run_id, 1)]
    executor.silent = set()
    assert (await platform.test()).state == "passed"


async def test_the_way_from_draft_to_catalogue(
    platform: Author, executor: StandInExecutor, js: JetStreamContext
) -> None:
    saved = await platform.save()
    with pytest.raises(DibopError) as refused:
        await platform.publish()
    assert refused.value.code == "not-publishable"
    assert {item["item"] for item in refused.value.errors} == {"operations.now.test", "operations.tomorrow.test"}

    await platform.test()
    published = await platform.publish()

    assert (published.version, published.changed, published.digest) == ("1.0.0", True, saved.digest)
    entry = await catalogue_entry(js)
    assert [(v.version, v.digest) for v in entry.versions] == [("1.0.0", saved.digest)]
    (told,) = await eventually(lambda: events(js, "version_published"))
    assert told.data["version"] == "1.0.0"
    assert (await platform.publish()) == published.model_copy(update={"changed": False})


async def test_a_second_version_has_the_bump_of_its_changes(
    platform: Author, executor: StandInExecutor, js: JetStreamContext
) -> None:
    await platform.save()
    await platform.test()
    await platform.publish()

    await platform.save(base_revision=1, operations=[operation("now"), operation("tomorrow"), operation("later")])
    await platform.test()
    difference = await platform.ask("publisher", "connector.diff", {"slug": "weather"}, commands.Difference)
    published = await platform.publish()

    assert (difference.bump, difference.next_version) == ("minor", "1.1.0")
    assert [change.path for change in difference.changes] == ["/operations/later"]
    assert (published.version, published.changed) == ("1.1.0", True)
    entry = await catalogue_entry(js)
    assert [v.version for v in entry.versions] == ["1.0.0", "1.1.0"]

    async def all_told() -> list[object]:
        told = [event.data["previous_version"] for event in await events(js, "version_published")]
        assert len(told) == 2
        return told

    assert await eventually(all_told) == [None, "1.0.0"]


async def test_commands_at_once_publish_once(platform: Author, executor: StandInExecutor, js: JetStreamContext) -> None:
    await platform.save()
    await platform.test()

    answers = await asyncio.gather(*(platform.publish() for _ in range(6)))

    assert [answer.changed for answer in answers].count(True) == 1
    assert {answer.version for answer in answers} == {"1.0.0"}
    assert len((await platform.connector()).versions) == 1


async def test_an_enterprise_publishes_for_itself_alone(
    acme: Author, executor: StandInExecutor, js: JetStreamContext
) -> None:
    await acme.save()
    await acme.test()

    published = await acme.publish()

    assert (published.owner, published.scope, published.version) == ("acme", "enterprise", "1.0.0")
    assert (await catalogue_entry(js, "acme")).owner == "acme"
    with pytest.raises(KeyNotFoundError):
        await catalogue_entry(js, "platform")


async def test_an_enterprises_draft_is_reviewed_and_enters_the_catalogue(
    acme: Author, platform: Author, executor: StandInExecutor, js: JetStreamContext
) -> None:
    saved = await acme.save()
    await acme.test()
    to_all = {"slug": "weather", "scope": "catalogue"}
    asked = await acme.ask("publisher", "connector.publish", to_all, commands.Published)
    assert (asked.version, asked.changed) == (None, True)
    (told,) = await eventually(lambda: events(js, "review_requested"))
    assert told.data["review"] == asked.review

    page = await platform.ask("publisher", "review.list", {"state": "open"}, commands.ReviewPage)
    assert [(row.id, row.owner, row.authors) for row in page.reviews] == [(asked.review, "acme", ["ada"])]
    shown = await platform.ask("publisher", "review.show", {"id": asked.review}, commands.Review)
    assert shown.document == document()
    said = {"id": asked.review, "text": "Good."}
    assert (await acme.ask("publisher", "review.comment", said, commands.ReviewCommented)).comments == 1
    with pytest.raises(DibopError) as refused:
        await acme.ask("publisher", "review.approve", {"id": asked.review}, commands.ReviewDecided)
    assert refused.value.code == "forbidden"
    decided = await platform.ask("publisher", "review.approve", {"id": asked.review}, commands.ReviewDecided)

    assert decided.published is not None
    assert (decided.published.version, decided.published.owner) == ("1.0.0", "platform")
    entry = await catalogue_entry(js)
    assert [(v.version, v.digest) for v in entry.versions] == [("1.0.0", saved.digest)]
    connector = await platform.connector()
    assert (connector.owner, connector.draft.digest if connector.draft else None) == ("platform", saved.digest)
    (decision,) = await eventually(lambda: events(js, "review_decided"))
    assert (decision.data["decision"], decision.data["decided_by"]) == ("approved", "pat")
    await eventually(lambda: acme.last_audit("review.approved"))
    again = await acme.ask("publisher", "connector.publish", to_all, commands.Published)
    assert (again.version, again.changed) == ("1.0.0", False)


async def test_a_checklist_of_an_invalid_draft_lists_its_problems(platform: Author) -> None:
    await platform.save(auth_type="magic")

    found = await platform.ask(
        "publisher", "connector.checklist", {"slug": "weather", "scope": "catalogue"}, commands.Checklist
    )

    assert not found.publishable
    assert [(item.item, item.path) for item in found.items] == [("template", "/auth_type")]


async def test_an_unknown_draft_is_not_found(platform: Author) -> None:
    for what, body in (
        ("test.plan", {"slug": "nothing"}),
        ("test.start", {"slug": "nothing"}),
        ("connector.checklist", {"slug": "nothing", "scope": "catalogue"}),
        ("connector.publish", {"slug": "nothing", "scope": "catalogue"}),
        ("connector.diff", {"slug": "nothing"}),
    ):
        with pytest.raises(DibopError, match="'nothing'") as refused:
            await platform.ask("publisher", what, body, commands.Published)
        assert refused.value.code == "not-found"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"slug": "Weather"}', b'{"slug": "weather", "scope": "all"}', b'{"slug": "w", "x": 1}']
)
async def test_a_malformed_command_is_answered(platform: Author, nc: BusClient, body: bytes) -> None:
    with pytest.raises(DibopError) as refused:
        await request(nc, "publisher.v1.platform.connector.publish", body, token=platform.token, timeout=10)
    assert refused.value.code == "invalid-request"


async def test_without_a_token_nothing_is_done(nc: BusClient) -> None:
    with pytest.raises(DibopError) as refused:
        await request(nc, "publisher.v1.platform.test.start", b'{"slug": "weather"}', timeout=10)
    assert refused.value.code == "unauthenticated"


async def test_a_stranger_may_do_nothing(acme: Author, tokens: Tokens, nc: BusClient) -> None:
    stranger = Author(nc, acme.token, "globex")
    with pytest.raises(DibopError) as refused:
        await stranger.test()
    assert refused.value.code == "forbidden"
