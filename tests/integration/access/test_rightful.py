"""What each user is for works with the rights that it has, and without a single refusal."""

from __future__ import annotations

import msgspec
import nats.micro
import pytest
from nats.micro.service import ServiceConfig

from services.registry.bus import NatsConsumers
from shared.contracts.events import Event
from shared.contracts.subjects import CATALOGUE_BUCKET, CONNECTIONS_BUCKET, HEALTH_BUCKET
from shared.messaging.bootstrap import verify
from shared.messaging.events import publish_event
from shared.messaging.kv import KvMirror, put_if_newer
from shared.messaging.objects import Documents
from tests.integration.access.conftest import User, World
from tests.support.polling import eventually


async def test_the_operator_makes_and_verifies_streams(world: World) -> None:
    operator = await world.service("operator")

    assert await verify(operator.js) == []
    assert operator.refusals == []


@pytest.mark.parametrize(("service", "plane"), [("registry", "registry"), ("publisher", "publisher")])
async def test_a_service_answers_the_commands_of_a_client_and_of_the_console(
    world: World, service: str, plane: str
) -> None:
    answering, client, console = (
        await world.service(service),
        await world.client("acme"),
        await world.service("console"),
    )
    await answering.hear(f"{plane}.v1.*.thing.do", queue=plane, answer=b"done")

    for asking in (client, console):
        assert (await asking.nc.request(f"{plane}.v1.acme.thing.do", b"", timeout=2)).data == b"done"
        assert asking.refusals == []
    assert answering.refusals == []


async def test_executors_answer_clients_the_console_and_the_publisher(world: World) -> None:
    executor = await world.service("executor")
    for plane in ("exec", "execas", "draft", "executor"):
        await executor.hear(f"{plane}.v1.*.*.*", queue="executors", answer=b"done")
    asked = {
        "exec": await world.client("acme"),
        "executor": await world.client("acme", "two"),
        "execas": await world.service("console"),
        "draft": await world.service("publisher"),
    }

    for plane, asking in asked.items():
        assert (await asking.nc.request(f"{plane}.v1.acme.crm.get", b"", timeout=2)).data == b"done"
        assert asking.refusals == []
    assert executor.refusals == []


async def test_nobody_listening_is_told_at_once_across_accounts(world: World) -> None:
    client = await world.client("acme")

    with pytest.raises(nats.errors.NoRespondersError):
        await client.nc.request("exec.v1.acme.crm.get", b"", timeout=5)


async def test_registry_and_publisher_write_projections_which_an_executor_follows(world: World) -> None:
    registry, publisher, executor = [await world.service(name) for name in ("registry", "publisher", "executor")]
    mirrors = {}
    for bucket in (CATALOGUE_BUCKET, CONNECTIONS_BUCKET):
        mirrors[bucket] = KvMirror(executor.nc, bucket, bytes)  # type: ignore[arg-type]
        await mirrors[bucket].start()

    connections = await registry.js.key_value(CONNECTIONS_BUCKET)
    catalogue = await publisher.js.key_value(CATALOGUE_BUCKET)
    await connections.update("acme.crm.default", b"1", last=0)
    assert await put_if_newer(catalogue, "platform.crm", b"7", int)
    assert await put_if_newer(await registry.js.key_value(CATALOGUE_BUCKET), "platform.crm", b"8", int)
    document = await Documents(registry.js).put(b"{}")

    await eventually(lambda: mirrors[CATALOGUE_BUCKET].get("platform.crm") == b"8")
    await eventually(lambda: mirrors[CONNECTIONS_BUCKET].get("acme.crm.default") == b"1")
    assert await mirrors[CONNECTIONS_BUCKET].read("acme.crm.default") == b"1"
    assert await Documents(executor.js).get(document) == b"{}"
    await connections.delete("acme.crm.default")
    await eventually(lambda: mirrors[CONNECTIONS_BUCKET].get("acme.crm.default") is None)
    for mirror in mirrors.values():
        await mirror.stop()
    assert [user.refusals for user in (registry, publisher, executor)] == [[], [], []]


async def test_executors_write_health_which_the_registry_follows(world: World) -> None:
    executor, registry = await world.service("executor"), await world.service("registry")
    mirror = KvMirror(registry.nc, HEALTH_BUCKET, bytes)  # type: ignore[arg-type]
    await mirror.start()

    health = await executor.js.key_value(HEALTH_BUCKET)
    await health.update("acme.1", b"degraded", last=0)

    await eventually(lambda: mirror.get("acme.1") == b"degraded")
    await mirror.stop()
    assert executor.refusals == registry.refusals == []


@pytest.mark.parametrize(
    ("service", "noun", "what"),
    [
        ("registry", "connector", "draft_saved"),
        ("registry", "connection", "created"),
        ("publisher", "connector", "version_published"),
        ("executor", "connection", "health_changed"),
        ("executor", "operation", "executed"),
        ("executor", "job", "succeeded"),
    ],
)
async def test_a_service_tells_its_events_and_the_enterprise_hears_them(
    world: World, service: str, noun: str, what: str
) -> None:
    telling, client = await world.service(service), await world.client("acme")
    await client.hear("evt.v1.acme.>")

    await publish_event(telling.js, Event("acme", noun, "1", what, service, {}))

    await eventually(lambda: len(client.heard) == 1)
    assert Event.read(client.heard[0].subject, client.heard[0].headers, client.heard[0].data).what == what
    assert telling.refusals == client.refusals == []


@pytest.mark.parametrize("what", ["version_published", "version_deprecated", "unpublished"])
async def test_every_enterprise_hears_what_is_new_in_the_catalogue(world: World, what: str) -> None:
    publisher, client = await world.service("publisher"), await world.client("globex")
    await client.hear(f"evt.v1.platform.connector.*.{what}")

    await publish_event(publisher.js, Event("platform", "connector", "crm", what, "publisher", {}))

    await eventually(lambda: len(client.heard) == 1)


async def test_a_large_reply_is_read_by_its_enterprise_and_by_the_console(world: World) -> None:
    executor, client, console = (
        await world.service("executor"),
        await world.client("acme"),
        await world.service("console"),
    )
    await executor.js.publish("resp.v1.acme.abc.0", b"part")

    for reading in (client, console):
        part = await reading.nc.request("$JS.API.DIRECT.GET.RESPONSES.resp.v1.acme.abc.0", b"", timeout=2)
        assert part.data == b"part"
    by_library = await client.js.get_last_msg("RESPONSES", "resp.v1.acme.abc.0", direct=True)
    assert by_library.data == b"part"
    assert client.refusals == console.refusals == executor.refusals == []


async def test_a_job_is_acknowledged_by_the_stream(world: World) -> None:
    client = await world.client("acme")

    acknowledged = await client.nc.request("job.v1.acme.crm.get", b"{}", timeout=2)

    assert msgspec.json.decode(acknowledged.data)["stream"] == "EXEC_JOBS"
    assert (await client.js.publish("job.v1.acme.crm.get", b"{}")).stream == "EXEC_JOBS"


async def test_a_client_reads_the_durable_consumer_that_the_registry_made_for_it(world: World) -> None:
    registry, client = await world.service("registry"), await world.client("acme", consumers=["billing"])
    consumers = NatsConsumers(lambda: registry.js)
    made = await consumers.make("acme", "billing", ["evt.v1.acme.>"])
    await publish_event(registry.js, Event("acme", "connection", "1", "created", "registry", {}))

    subscription = await client.js.pull_subscribe_bind(made.consumer, "EVENTS")
    [message] = await subscription.fetch(1, timeout=2)
    await message.ack()

    async def acknowledged() -> bool:
        return [each.unacknowledged for each in await consumers.of("acme")] == [0]

    await eventually(acknowledged)
    await consumers.forget("acme", "billing")
    assert await consumers.of("acme") == []
    assert client.refusals == registry.refusals == []


async def test_services_are_found_by_the_operator_and_by_each_other(world: World) -> None:
    executor, operator = await world.service("executor"), await world.service("operator")
    service = await nats.micro.add_service(executor.nc, ServiceConfig(name="dibop-executor", version="1.0.0"))
    await executor.nc.flush()

    async def answered(asking: User) -> bool:
        return bool((await asking.nc.request("$SRV.PING.dibop-executor", b"", timeout=2)).data)

    assert await answered(operator)
    assert await answered(executor)
    assert await answered(await world.service("console"))
    await service.stop()
    assert executor.refusals == operator.refusals == []


async def test_a_platform_service_tells_of_enterprises_and_of_its_source(world: World) -> None:
    platform = await world.platform("billing", "crm")

    for subject in ("evt.v1.platform.enterprise.acme.suspended", "evt.v1.acme.ext.crm.lead-1.created"):
        assert (await platform.js.publish(subject, b"{}")).stream == "EVENTS"
    assert platform.refusals == []


async def test_a_platform_admins_client_also_commands_for_the_platform(world: World) -> None:
    registry, admin = await world.service("registry"), await world.client("acme", platform_admin=True)
    await registry.hear("registry.v1.*.draft.save", queue="registry", answer=b"saved")
    await admin.hear("evt.v1.platform.>")

    reply = await admin.nc.request("registry.v1.platform.draft.save", b"", timeout=2)
    await publish_event(registry.js, Event("platform", "connector", "crm", "draft_saved", "registry", {}))

    assert reply.data == b"saved"
    await eventually(lambda: len(admin.heard) == 1)


async def test_a_client_narrowed_to_operations_executes_these_alone(world: World) -> None:
    client = await world.client("acme", operations=["crm", "weather.get"])

    assert await client.may_publish("exec.v1.acme.crm.anything")
    assert await client.may_publish("exec.v1.acme.weather.get")
    assert not await client.may_publish("exec.v1.acme.weather.delete")
    assert not await client.may_publish("exec.v1.acme.other.get")
    assert not await client.may_publish("job.v1.acme.other.get")
