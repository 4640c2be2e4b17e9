"""Streams and buckets are made, updated and left alone by one step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from nats.js import JetStreamContext
from nats.js.api import StorageType, StreamConfig

from shared.contracts.events import Event
from shared.messaging.bootstrap import BootstrapError, bootstrap, stream_configs, verify, wait_for_bus
from shared.messaging.connection import BusClient, connect
from shared.messaging.events import publish_event
from shared.settings import BusSettings
from tests.support.servers import NatsServer

ALL = {"EVENTS", "CALLS", "RESPONSES", "KV_catalogue", "KV_connections", "KV_enterprises", "KV_health", "OBJ_templates"}


@pytest.fixture
async def own_nc(own_nats: Callable[[], NatsServer]) -> AsyncIterator[BusClient]:
    client = await connect(BusSettings(nats_url=own_nats().url), name="test", wait_seconds=10)
    yield client
    await client.close()


@pytest.fixture
def own_js(own_nc: BusClient) -> JetStreamContext:
    return own_nc.jetstream()


async def test_everything_is_made_once_and_then_left_alone(own_js: JetStreamContext) -> None:
    first = await bootstrap(own_js)
    second = await bootstrap(own_js)

    assert {change.stream for change in first} == ALL
    assert {change.done for change in first} == {"created"}
    assert second == []
    assert await verify(own_js) == []


async def test_what_is_missing_or_differs_is_named_and_then_mended(own_js: JetStreamContext) -> None:
    await bootstrap(own_js)
    await own_js.delete_stream("KV_catalogue")
    events = (await own_js.stream_info("EVENTS")).config
    await own_js.update_stream(events.evolve(max_age=3600.0))
    await own_js.publish("evt.v1.acme.connector.a.draft_saved", b"{}")

    problems = await verify(own_js)
    changes = await bootstrap(own_js)

    assert len(problems) == 2
    assert "EVENTS has max_age 3600.0, and should have 604800.0" in problems[0]
    assert "KV_catalogue does not exist" in problems[1]
    assert [str(change) for change in changes] == [
        "updated EVENTS (max_age: 3600.0 to 604800.0)",
        "created KV_catalogue",
    ]
    assert (await own_js.stream_info("EVENTS")).state.messages == 1
    assert await verify(own_js) == []


async def test_a_setting_that_cannot_be_changed_is_refused_by_name(own_js: JetStreamContext) -> None:
    await own_js.add_stream(StreamConfig(name="EVENTS", subjects=["evt.v1.>"], storage=StorageType.MEMORY))

    with pytest.raises(BootstrapError, match="storage is memory, should be file"):
        await bootstrap(own_js)


async def test_many_who_bootstrap_at_once_end_with_one_bus(own_js: JetStreamContext) -> None:
    await asyncio.gather(*(bootstrap(own_js) for _ in range(5)))

    assert await verify(own_js) == []


async def test_a_service_waits_until_its_streams_exist(own_nc: BusClient, own_js: JetStreamContext) -> None:
    waiting = asyncio.create_task(wait_for_bus(own_nc))
    done, _ = await asyncio.wait({waiting}, timeout=0.5)
    assert not done

    await bootstrap(own_js)

    await asyncio.wait_for(waiting, 10)


async def test_every_stream_is_bounded() -> None:
    for config in stream_configs():
        assert config.max_bytes
        assert config.max_bytes > 0


async def test_an_event_is_stored_once_however_often_it_is_sent(js: JetStreamContext) -> None:
    event = Event("acme", "connector", "weather", "draft_saved", "registry", {"revision": 1})

    assert [await publish_event(js, event) for _ in range(3)] == [True, False, False]

    message = await js.get_last_msg("EVENTS", event.subject)
    assert Event.read(event.subject, message.headers, message.data or b"") == event
