"""The call log: what executors told, once each, and found by what people ask for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from nats.js import JetStreamContext

from services.registry.domain.calls import read_question
from services.registry.handlers import calls
from services.registry.store import SqlStore
from shared.contracts import subjects
from shared.contracts.calls import ExecutedCall, ExecutedCalls
from shared.contracts.clock import spelled
from shared.contracts.commands import CallPage, ListCalls
from shared.contracts.events import Event
from shared.messaging.events import publish_event
from tests.integration.registry.conftest import People, Person, StartRegistry
from tests.support.polling import eventually

NOW_MS = int(datetime.now(UTC).timestamp() * 1000)


def call(number: int, **changes: Any) -> ExecutedCall:
    """One of each second, the first the newest."""
    fields: dict[str, Any] = {
        "id": f"boot-{number}",
        "request_id": f"r-{number}",
        "connector": "weather",
        "operation": "now",
        "outcome": "succeeded",
        "started_ms": NOW_MS - number * 1000,
        "duration_ms": 12.5,
        "status": 200,
        "attempts": 1,
    }
    return ExecutedCall(**{**fields, **changes})


async def tell(js: JetStreamContext, *told: ExecutedCall, enterprise: str = "acme", worker: str = "w-1") -> None:
    event = Event(enterprise, "operation", subjects.CALLS, "executed", "executor", {"worker": worker, "calls": told})
    await publish_event(js, event)


async def page(person: Person, **query: object) -> CallPage:
    return await person.ask("call.list", ListCalls(**query), CallPage)


async def requests(person: Person, **query: object) -> list[str]:
    return [each.request_id for each in (await page(person, **query)).calls]


async def kept(person: Person, count: int) -> None:
    async def there() -> bool:
        return len((await page(person, limit=1000)).calls) == count

    await eventually(there, what=f"{count} calls in the log")


@pytest.mark.usefixtures("registry")
async def test_calls_are_found_by_everything_that_is_asked_for(people: People, js: JetStreamContext) -> None:
    await tell(
        js,
        call(1),
        call(2, connection="main", outcome="failed", status=404),
        call(3, connector="crm", operation="leads", outcome="failed", status=503, version="1.2.0"),
        call(4, outcome="rate-limited", status=0, attempts=0, caller="kim", waited_ms=30.0, retry_stopped="deadline"),
        call(5, outcome="internal", status=0, schema_valid=False, reply_bytes=77),
    )
    await kept(people.viewer, 5)
    viewer = people.viewer

    assert await requests(viewer) == ["r-1", "r-2", "r-3", "r-4", "r-5"]
    assert await requests(viewer, connector="crm") == ["r-3"]
    assert await requests(viewer, operation="now") == ["r-1", "r-2", "r-4", "r-5"]
    assert await requests(viewer, connection="main") == ["r-2"]
    assert await requests(viewer, outcome="succeeded") == ["r-1"]
    assert await requests(viewer, outcome="failed", connector="weather") == ["r-2"]
    assert await requests(viewer, outcome="error") == ["r-4", "r-5"]
    assert await requests(viewer, outcome="rate-limited") == ["r-4"]
    assert await requests(viewer, status="404") == ["r-2"]
    assert await requests(viewer, status="5xx") == ["r-3"]
    assert await requests(viewer, request_id="r-5") == ["r-5"]
    assert await requests(viewer, since=at(3)) == ["r-1", "r-2", "r-3"]
    assert await requests(viewer, until=at(3)) == ["r-4", "r-5"]
    assert await requests(viewer, since=at(4), until=at(1), limit=2) == ["r-2", "r-3"]
    refused = (await page(viewer, request_id="r-4")).calls[0]
    assert (refused.caller, refused.status, refused.waited_ms, refused.retry_stopped) == ("kim", None, 30.0, "deadline")
    assert (refused.worker, refused.started_at, refused.duration_ms) == ("w-1", at(4), 12.5)


def at(seconds_ago: int) -> str:
    return spelled(datetime.fromtimestamp((NOW_MS - seconds_ago * 1000) / 1000, UTC))


@pytest.mark.usefixtures("registry")
async def test_pages_go_on_where_the_last_one_ended_within_one_millisecond_too(
    people: People, js: JetStreamContext
) -> None:
    await tell(js, *(call(number, started_ms=NOW_MS) for number in range(7)))
    await kept(people.viewer, 7)
    found: list[str] = []
    after: str | None = None
    while True:
        part = await page(people.viewer, limit=2, after=after)
        found += [each.id for each in part.calls]
        after = part.next_after
        if after is None:
            break
    assert found == sorted({f"boot-{number}" for number in range(7)}, reverse=True)


@pytest.mark.usefixtures("registry")
async def test_each_call_is_kept_once_whoever_tells_it_again(people: People, js: JetStreamContext) -> None:
    await tell(js, call(1), call(2))
    await tell(js, call(2), call(3))
    await kept(people.viewer, 3)


async def test_what_came_while_the_registry_was_away_or_died_is_kept(
    people: People, js: JetStreamContext, start_registry: StartRegistry
) -> None:
    registry = start_registry()
    await tell(js, call(1))
    await kept(people.viewer, 1)
    registry.kill()
    await tell(js, call(2))
    await tell(js, call(3))
    start_registry()
    await kept(people.viewer, 3)


@pytest.mark.usefixtures("registry")
async def test_what_cannot_be_read_is_left_out_and_stops_nothing(people: People, js: JetStreamContext) -> None:
    subject = subjects.event("acme", "operation", subjects.CALLS, "executed")
    for body in (b"no JSON", b"[]", b'{"worker": "w", "calls": [{"id": 1}]}', b"\xff"):
        await js.publish(subject, body, stream=subjects.CALLS_STREAM)
    await tell(js, call(1))
    await kept(people.viewer, 1)


@pytest.mark.usefixtures("registry")
async def test_an_enterprise_sees_its_own_alone(people: People, js: JetStreamContext) -> None:
    await tell(js, call(1))
    await tell(js, call(2), enterprise="other")
    await kept(people.viewer, 1)
    assert (await people.stranger.refused("call.list", ListCalls())).code == "forbidden"
    seen = Person(people.platform.nc, people.platform.token, "other")
    await kept(seen, 1)


@pytest.mark.usefixtures("registry")
async def test_times_and_pages_that_are_none_are_refused(people: People) -> None:
    for query, said in (
        ({"since": "yesterday"}, "since: 'yesterday' is no time"),
        ({"until": "2026-01-31T09:05:00"}, "with a time zone"),
        ({"after": "x.y"}, "is no page's next_after"),
        ({"status": "600"}, "status"),
    ):
        refused = await people.viewer.refused("call.list", msgspec.json.encode(query))
        assert (refused.code, said in refused.detail + str(refused.errors)) == ("invalid-request", True)


async def test_old_calls_are_deleted_part_by_part(store: SqlStore) -> None:
    old = [call(number, started_ms=NOW_MS - 8 * 86_400_000) for number in range(2_500)]
    new = [call(number) for number in range(2_500, 2_503)]
    await calls.keep(store, [("acme", ExecutedCalls("w-1", each)) for each in (old, new)])

    assert await calls.sweep(store, days=7) == 2_500
    assert await calls.sweep(store, days=7) == 0

    async with store.read() as work:
        left = await work.calls.page("acme", read_question(ListCalls()), limit=10)
    assert len(left) == 3
