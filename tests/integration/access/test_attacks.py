"""Each sentence of the permissions, attacked on a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig

from shared.contracts.events import EVENT_TYPES
from shared.contracts.subjects import event_consumer
from shared.messaging.access.authority import Authority
from shared.messaging.access.permissions import SERVICES
from shared.messaging.connection import BusUnreachableError, connect
from shared.settings import BusSettings
from tests.integration.access.conftest import QUIET_SECONDS, World
from tests.support.polling import eventually

Stored = Callable[[], Awaitable[dict[str, int]]]
PLANES = ("exec", "execas", "draft", "job", "registry", "publisher", "executor")
INJECTED_INTO = (
    "exec.v1.globex.crm.delete",
    "job.v1.globex.crm.delete",
    "registry.v1.globex.connection.delete",
    "evt.v1.globex.connection.1.deleted",
    "evt.v1.platform.connector.crm.version_published",
    "_INBOX.globex.one.known",
    "$KV.connections.globex.crm.default",
    "$KV.catalogue.platform.crm",
    "$KV.health.globex.1",
    "$O.templates.M.abc",
    "$JS.API.STREAM.PURGE.EVENTS",
    "$JS.API.STREAM.DELETE.KV_connections",
    "resp.v1.globex.abc.0",
)


# ---- clients ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("plane", PLANES)
async def test_a_client_may_not_speak_for_another_enterprise(world: World, plane: str) -> None:
    client = await world.client("acme")
    others = ("globex", "platform", "acme2", "acm", "*")

    assert await client.publishable([f"{plane}.v1.{enterprise}.crm.get" for enterprise in others]) == []
    assert await client.publishable([f"{plane}.v1.>", f"{plane}.v1", f"{plane}.v1.acme"]) == []


@pytest.mark.parametrize("plane", ["draft", "execas"])
async def test_a_client_may_neither_test_drafts_nor_speak_for_people(world: World, plane: str) -> None:
    client = await world.client("acme", platform_admin=True)

    assert not await client.may_publish(f"{plane}.v1.acme.crm.get")
    assert not await client.may_publish(f"{plane}.v1.platform.crm.get")


async def test_a_client_may_not_listen_to_what_is_not_its_own(world: World) -> None:
    client = await world.client("acme")
    subjects = (
        ">",
        "*",
        "_INBOX.>",
        "_INBOX.*",
        "_INBOX.acme.>",
        "_INBOX.acme.two.>",
        "_INBOX.globex.>",
        "_INBOX.svc.>",
        "_R_.>",
        "evt.v1.>",
        "evt.v1.*.connector.*.version_published",
        "evt.v1.globex.>",
        "evt.v1.platform.>",
        "evt.v1.platform.connector.>",
        "evt.v1.platform.connector.*.draft_saved",
        "evt.v1.platform.enterprise.>",
        "exec.v1.acme.>",
        "exec.v1.>",
        "registry.v1.>",
        "resp.v1.acme.>",
        "$JS.>",
        "$JS.EVENT.ADVISORY.>",
        "$KV.>",
        "$KV.connections.acme.>",
        "$SRV.PING",
        "$SYS.>",
    )

    assert [each for each in subjects if await client.may_subscribe(each)] == []
    assert [each for each in subjects if await client.may_subscribe(each, queue="executors")] == []


async def test_a_client_may_not_publish_what_is_not_its_own(world: World) -> None:
    client = await world.client("acme")
    subjects = (
        "evt.v1.acme.connection.1.deleted",
        "evt.v1.acme.ext.crm.1.created",
        "evt.v1.platform.enterprise.acme.resumed",
        "resp.v1.acme.abc.0",
        "$KV.connections.acme.crm.default",
        "$KV.health.acme.1",
        "$O.templates.M.abc",
        "_INBOX.acme.one.x",
        "_INBOX.globex.one.x",
        "_INBOX.svc.registry.x",
        "_R_.x",
        "$JS.API.INFO",
        "$JS.API.STREAM.LIST",
        "$JS.API.STREAM.NAMES",
        "$JS.API.STREAM.INFO.EVENTS",
        "$JS.API.STREAM.DELETE.EVENTS",
        "$JS.API.STREAM.PURGE.RESPONSES",
        "$JS.API.STREAM.MSG.GET.RESPONSES",
        "$JS.API.STREAM.MSG.DELETE.EVENTS",
        "$JS.API.DIRECT.GET.RESPONSES",
        "$JS.API.DIRECT.GET.RESPONSES.resp.v1.globex.abc.0",
        "$JS.API.DIRECT.GET.KV_connections.$KV.connections.acme.crm.default",
        "$JS.API.CONSUMER.CREATE.EVENTS",
        "$JS.API.CONSUMER.CREATE.EVENTS.acme:one.evt.v1.acme.>",
        "$JS.API.CONSUMER.DURABLE.CREATE.EVENTS.acme:one",
        "$JS.API.CONSUMER.CREATE.EXEC_JOBS",
        "$JS.API.CONSUMER.LIST.EVENTS",
        "$JS.API.CONSUMER.MSG.NEXT.EVENTS.acme:one",
        "$JS.API.CONSUMER.MSG.NEXT.EXEC_JOBS.exec",
        "$JS.ACK.EXEC_JOBS.exec.1.1.1.1.0",
        "$JS.ACK.EVENTS.globex:billing.1.1.1.1.0",
        "$SRV.PING.dibop-executor",
        "$SYS.REQ.SERVER.PING",
    )

    assert await client.publishable(subjects) == []


async def test_another_enterprises_large_reply_stays_unread(world: World) -> None:
    executor, client = await world.service("executor"), await world.client("globex")
    await executor.js.publish("resp.v1.acme.abc.0", b"secret")

    for read in (
        client.js.get_last_msg("RESPONSES", "resp.v1.acme.abc.0", direct=True),
        client.js.get_msg("RESPONSES", 1),
        client.js.get_msg("RESPONSES", 1, direct=True),
    ):
        with pytest.raises((NatsError, TimeoutError)):
            await asyncio.wait_for(read, 0.5)
    assert client.refusals


async def test_another_enterprises_events_are_not_heard(world: World) -> None:
    registry, acme, globex = await world.service("registry"), await world.client("acme"), await world.client("globex")
    await acme.hear("evt.v1.acme.>")
    await globex.hear("evt.v1.globex.>")

    await registry.js.publish("evt.v1.acme.connection.1.created", b"{}")

    await eventually(lambda: len(acme.heard) == 1)
    await asyncio.sleep(QUIET_SECONDS)
    assert globex.heard == []


async def test_another_enterprises_durable_consumer_stays_unread(world: World) -> None:
    operator = await world.service("operator")
    name = event_consumer("acme", "billing")
    await operator.js.add_consumer("EVENTS", ConsumerConfig(durable_name=name, ack_policy=AckPolicy.EXPLICIT))
    client = await world.client("globex", consumers=["billing"])

    assert not await client.may_publish(f"$JS.API.CONSUMER.MSG.NEXT.EVENTS.{name}")
    assert not await client.may_publish(f"$JS.API.CONSUMER.INFO.EVENTS.{name}")
    assert not await client.may_publish(f"$JS.ACK.EVENTS.{name}.1.1.1.1.0")


# ---- where an answer goes --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "asked",
    [
        "exec.v1.acme.crm.get",
        "registry.v1.acme.draft.get",
        "job.v1.acme.crm.get",
        "$JS.API.DIRECT.GET.RESPONSES.resp.v1.acme.evil.0",
        "$JS.API.CONSUMER.MSG.NEXT.EVENTS.acme:billing",
    ],
)
async def test_an_answer_never_reaches_another_enterprise_nor_a_stream(
    world: World, stored: Stored, asked: str
) -> None:
    operator, registry, executor = [await world.service(name) for name in ("operator", "registry", "executor")]
    victim, attacker = await world.client("globex"), await world.client("acme", consumers=["billing"])
    consumer = event_consumer("acme", "billing")
    await operator.js.add_consumer("EVENTS", ConsumerConfig(durable_name=consumer, filter_subject="evt.v1.acme.>"))
    await victim.hear("_INBOX.globex.one.known")
    await victim.hear("_INBOX.globex.one.>")
    await victim.hear("evt.v1.globex.>")
    await executor.hear("exec.v1.*.*.*", queue="executors", answer=b"chosen by the attacker")
    await registry.hear("registry.v1.*.*.*", queue="registry", answer=b"chosen by the attacker")
    await executor.js.publish("resp.v1.acme.evil.0", b"chosen by the attacker")
    await registry.js.publish("evt.v1.acme.connection.1.created", b"chosen by the attacker")
    before = await stored()

    for reply in INJECTED_INTO:
        await attacker.nc.publish(asked, b"", reply=reply)
    await attacker.nc.flush()
    await asyncio.sleep(QUIET_SECONDS)

    after = await stored()
    assert {name: count for name, count in after.items() if name != "EXEC_JOBS"} == before
    assert victim.heard == []
    assert [message.subject for message in executor.heard + registry.heard if ".globex." in message.subject] == []
    await operator.js.delete_consumer("EVENTS", consumer)


@pytest.mark.parametrize("reply", ["$JS.ACK.EVENTS.globex:billing.1.1.1.1.0", "_R_.abcdef.ghijkl"])
async def test_the_server_itself_refuses_replies_that_are_its_own(world: World, reply: str) -> None:
    executor, client = await world.service("executor"), await world.client("acme")
    await executor.hear("exec.v1.*.*.*", queue="executors")

    assert not await client.may_publish("exec.v1.acme.crm.get", reply=reply)
    await asyncio.sleep(QUIET_SECONDS)
    assert executor.heard == []


@pytest.mark.parametrize("deliver", ["exec.v1.globex.crm.delete", "_INBOX.globex.one.known", "$KV.connections.x.y.z"])
async def test_a_client_cannot_have_a_consumer_deliver_anywhere(world: World, stored: Stored, deliver: str) -> None:
    registry, client = await world.service("registry"), await world.client("acme", consumers=["billing"])
    victim = await world.client("globex")
    await victim.hear("_INBOX.globex.one.known")
    await registry.js.publish("evt.v1.acme.connection.1.created", b"{}")
    before = await stored()
    config = {"deliver_subject": deliver, "filter_subject": "evt.v1.acme.>", "name": "acme:billing"}
    body = json.dumps({"stream_name": "EVENTS", "config": config}).encode()

    for subject in (
        "$JS.API.CONSUMER.CREATE.EVENTS",
        "$JS.API.CONSUMER.CREATE.EVENTS.acme:billing",
        "$JS.API.CONSUMER.CREATE.EVENTS.acme:billing.evt.v1.acme.>",
        "$JS.API.CONSUMER.DURABLE.CREATE.EVENTS.acme:billing",
    ):
        refused = len(client.refusals)
        with pytest.raises((NatsError, TimeoutError)):
            await client.nc.request(subject, body, timeout=0.2)
        assert len(client.refusals) == refused + 1
    assert victim.heard == []
    assert await stored() == before


async def test_a_client_cannot_acknowledge_for_another(world: World) -> None:
    operator, registry = await world.service("operator"), await world.service("registry")
    owner, attacker = (
        await world.client("acme", consumers=["billing"]),
        await world.client("globex", consumers=["billing"]),
    )
    name = event_consumer("acme", "billing")
    config = ConsumerConfig(durable_name=name, filter_subject="evt.v1.acme.>", ack_policy=AckPolicy.EXPLICIT)
    await operator.js.add_consumer("EVENTS", config)
    await registry.js.publish("evt.v1.acme.connection.1.created", b"{}")
    subscription = await owner.js.pull_subscribe_bind(name, "EVENTS")
    [message] = await subscription.fetch(1, timeout=2)

    for word in (b"+ACK", b"+TERM"):
        await attacker.nc.publish(message.reply, word)
    await attacker.nc.flush()

    assert len(attacker.refusals) == 2
    assert (await operator.js.consumer_info("EVENTS", name)).num_ack_pending == 1


# ---- services --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("service", sorted(SERVICES))
async def test_no_service_hears_everything(world: World, service: str) -> None:
    user = await world.service(service)

    for subject in (">", "_INBOX.>", "_INBOX.svc.>", "_INBOX.acme.>", "$JS.API.>", "$KV.>", "resp.v1.>", "exec.v1.>"):
        assert not await user.may_subscribe(subject), subject
    others = [each.inbox_prefix for each in SERVICES.values() if each.name != service]
    for inbox in others:
        assert not await user.may_subscribe(f"{inbox}.>"), inbox


@pytest.mark.parametrize(
    ("service", "subject", "queue"),
    [
        ("executor", "exec.v1.>", "executors"),
        ("executor", "draft.v1.*.*.*", "executors"),
        ("registry", "registry.v1.*.draft.save", "registry"),
        ("publisher", "publisher.v1.*.connector.publish", "publisher"),
    ],
)
async def test_work_is_taken_in_the_queue_group_alone(world: World, service: str, subject: str, queue: str) -> None:
    user = await world.service(service)

    assert await user.may_subscribe(subject, queue=queue)
    assert not await user.may_subscribe(subject)
    assert not await user.may_subscribe(subject, queue="mine")


@pytest.mark.parametrize("service", ["registry", "publisher", "console"])
async def test_only_executors_take_executions(world: World, service: str) -> None:
    user = await world.service(service)

    for plane in ("exec", "execas", "draft", "executor"):
        assert not await user.may_subscribe(f"{plane}.v1.*.*.*", queue="executors")


@pytest.mark.parametrize("service", sorted(SERVICES))
async def test_streams_are_the_operators_and_consumers_of_events_the_registrys(world: World, service: str) -> None:
    if service == "operator":
        return
    user = await world.service(service)

    for stream in ("EVENTS", "RESPONSES", "KV_connections", "OBJ_templates"):
        for verb in ("DELETE", "UPDATE", "CREATE"):
            assert not await user.may_publish(f"$JS.API.STREAM.{verb}.{stream}")
    for subject in ("CREATE.EVENTS", "CREATE.EVENTS.x", "CREATE.RESPONSES", "DURABLE.CREATE.RESPONSES.x"):
        assert not await user.may_publish(f"$JS.API.CONSUMER.{subject}")
    assert await user.may_publish("$JS.API.CONSUMER.DURABLE.CREATE.EVENTS.x") is (service == "registry")


WRITERS = {
    "$KV.catalogue.platform.crm": {"registry", "publisher"},
    "$KV.connections.acme.crm.default": {"registry"},
    "$KV.enterprises.acme": {"registry"},
    "$KV.health.acme.1": {"executor"},
    "$O.templates.M.abc": {"registry"},
    "$O.templates.C.abc": {"registry"},
    "resp.v1.acme.abc.0": {"executor"},
    "draft.v1.acme.crm.get": {"publisher"},
    "execas.v1.acme.crm.get": {"console"},
    "exec.v1.acme.crm.get": set(),
    "job.v1.acme.crm.get": set(),
    "evt.v1.acme.connection.1.created": {"registry"},
    "evt.v1.acme.connection.1.health_changed": {"registry", "executor"},
    "evt.v1.platform.connector.crm.version_published": {"registry", "publisher"},
    "evt.v1.acme.operation.1.executed": {"executor"},
    "evt.v1.platform.enterprise.acme.suspended": {"registry"},
    "evt.v1.acme.ext.crm.1.created": set(),
    "registry.v1.acme.connection.store-token": {"executor", "publisher", "console"},
    "registry.v1.acme.connection.delete": {"publisher", "console"},
    "publisher.v1.platform.connector.publish": {"console"},
    "_INBOX.acme.one.x": {"registry", "publisher", "executor"},
}


async def test_each_subject_has_its_writers_and_no_others(world: World) -> None:
    users = {name: await world.service(name) for name in SERVICES}

    writers = {
        subject: {name for name, user in users.items() if await user.may_publish(subject)} for subject in WRITERS
    }

    assert writers == WRITERS


async def test_the_console_neither_executes_nor_submits_as_itself(world: World) -> None:
    console = await world.service("console")

    for plane in ("exec", "job", "draft"):
        assert not await console.may_publish(f"{plane}.v1.acme.crm.get")


@pytest.mark.parametrize("noun", [*(noun for noun in EVENT_TYPES if noun != "enterprise"), "extra"])
async def test_a_platform_service_tells_none_of_this_products_events(world: World, noun: str) -> None:
    platform = await world.platform("billing", "crm")

    for enterprise in ("acme", "platform"):
        assert not await platform.may_publish(f"evt.v1.{enterprise}.{noun}.1.happened")


async def test_a_platform_service_does_nothing_else(world: World) -> None:
    platform = await world.platform("billing", "crm")
    subjects = (
        "evt.v1.acme.ext.erp.1.created",
        "evt.v1.acme.enterprise.acme.suspended",
        "exec.v1.acme.crm.get",
        "registry.v1.acme.connection.list",
        "$JS.API.INFO",
        "$KV.health.acme.1",
    )

    assert await platform.publishable(subjects) == []
    assert not await platform.may_subscribe("evt.v1.>")


async def test_the_acknowledgement_of_an_event_is_not_aimed_at_anybody(world: World, stored: Stored) -> None:
    platform, victim = await world.platform("billing"), await world.client("globex")
    await victim.hear("_INBOX.globex.one.>")
    await victim.hear("evt.v1.globex.>")

    for reply in INJECTED_INTO:
        await platform.nc.publish("evt.v1.platform.enterprise.acme.suspended", b"{}", reply=reply)
    await platform.nc.flush()
    await asyncio.sleep(QUIET_SECONDS)

    assert await stored() == {"EVENTS": len(INJECTED_INTO)}
    assert victim.heard == []


async def test_within_one_account_the_server_does_answer_anywhere(world: World, stored: Stored) -> None:
    """Why each enterprise has an account of its own; and that the tests above would see it."""
    executor = await world.service("executor")

    await executor.nc.publish("evt.v1.acme.operation.1.executed", b"{}", reply="$KV.connections.globex.crm.default")
    await executor.nc.flush()

    async def overwritten() -> bool:
        return "KV_connections" in await stored()

    await eventually(overwritten)


# ---- connecting ------------------------------------------------------------------------------------------------------
async def test_nobody_connects_without_credentials(guarded_url: str) -> None:
    with pytest.raises(BusUnreachableError, match="Authorization Violation"):
        await connect(BusSettings(nats_url=guarded_url), name="nobody", wait_seconds=0.5)


async def test_credentials_of_another_authority_are_worth_nothing(guarded_url: str, tmp_path: Path) -> None:
    file = tmp_path / "registry.creds"
    file.write_text(Authority.ensure(tmp_path / "other").service_credentials("registry"))

    with pytest.raises(BusUnreachableError, match="Authorization Violation"):
        await connect(BusSettings(nats_url=guarded_url, nats_creds=file), name="nobody", wait_seconds=0.5)


async def test_expired_credentials_are_refused(guarded_url: str, authority: Authority, tmp_path: Path) -> None:
    file = tmp_path / "registry.creds"
    file.write_text(authority.service_credentials("registry", valid_days=-1))

    with pytest.raises(BusUnreachableError, match=r"(?i)authorization violation|expired"):
        await connect(BusSettings(nats_url=guarded_url, nats_creds=file), name="nobody", wait_seconds=0.5)


async def test_without_its_inbox_prefix_a_client_may_not_listen(world: World) -> None:
    user = await world.client("acme")

    assert not await user.may_subscribe("_INBOX.abcdef.*")
