"""Durable consumers of events: made by the registry, read by whom they are for."""

from __future__ import annotations

import pytest
from nats.js import JetStreamContext

from services.registry.handlers.consumers import MOST
from shared.contracts.commands import Consumer, ConsumerDeleted, ConsumerList, CreateConsumer, DeleteConsumer
from shared.contracts.events import Event
from shared.messaging.connection import BusClient
from shared.messaging.events import publish_event
from shared.security.principals import Role
from tests.integration.registry.conftest import People, Person
from tests.support.tokens import Tokens

pytestmark = pytest.mark.usefixtures("registry")


@pytest.fixture(autouse=True)
async def _no_consumers_left(js: JetStreamContext) -> None:
    for info in await js.consumers_info("EVENTS"):
        await js.delete_consumer("EVENTS", info.name)


async def test_a_consumer_keeps_the_enterprises_events_and_what_is_new_in_the_catalogue(
    js: JetStreamContext, people: People
) -> None:
    made = await people.admin.ask("consumer.create", CreateConsumer(name="billing"), Consumer)

    for enterprise, noun, what in (
        ("acme", "connection", "created"),
        ("other", "connection", "created"),
        ("platform", "connector", "version_published"),
        ("platform", "connector", "draft_saved"),
    ):
        await publish_event(js, Event(enterprise, noun, "1", what, "registry", {}))

    subscription = await js.pull_subscribe_bind(made.consumer, "EVENTS")
    heard = [message.subject for message in await subscription.fetch(2, timeout=5)]
    assert made.consumer == "acme:billing"
    assert heard == ["evt.v1.acme.connection.1.created", "evt.v1.platform.connector.1.version_published"]
    [listed] = (await people.admin.ask("consumer.list", {}, ConsumerList)).consumers
    assert (listed.name, listed.waiting, listed.unacknowledged) == ("billing", 0, 2)


async def test_a_pattern_narrows_what_is_kept(people: People) -> None:
    made = await people.admin.ask("consumer.create", CreateConsumer(name="own", pattern="connection.>"), Consumer)

    assert made.subjects == ["evt.v1.acme.connection.>"]


async def test_making_it_again_changes_nothing_and_another_of_its_name_is_refused(people: People) -> None:
    first = await people.admin.ask("consumer.create", CreateConsumer(name="billing"), Consumer)

    again = await people.admin.ask("consumer.create", CreateConsumer(name="billing"), Consumer)
    refusal = await people.admin.refused("consumer.create", CreateConsumer(name="billing", pattern="job.>"))

    assert again == first
    assert refusal.code == "already-exists"
    assert "evt.v1.acme.>" in refusal.detail


async def test_what_is_deleted_is_gone_and_the_audit_log_tells(people: People) -> None:
    await people.admin.ask("consumer.create", CreateConsumer(name="billing"), Consumer)

    await people.admin.ask("consumer.delete", DeleteConsumer(name="billing"), ConsumerDeleted)

    assert (await people.admin.ask("consumer.list", {}, ConsumerList)).consumers == []
    told = [(entry.actor, entry.action) for entry in await people.admin.audit(noun="consumer")]
    assert told == [("kim", "consumer.delete"), ("kim", "consumer.create")]
    refusal = await people.admin.refused("consumer.delete", DeleteConsumer(name="billing"))
    assert refusal.code == "not-found"


async def test_another_enterprises_consumers_are_neither_listed_nor_deleted(
    nc: BusClient, tokens: Tokens, people: People
) -> None:
    other = Person(nc, tokens.issue("eve", "acme-two", Role.ENTERPRISE_ADMIN), "acme-two")
    await people.admin.ask("consumer.create", CreateConsumer(name="billing"), Consumer)

    assert (await other.ask("consumer.list", {}, ConsumerList)).consumers == []
    assert (await other.refused("consumer.delete", DeleteConsumer(name="billing"))).code == "not-found"
    assert (await people.stranger.refused("consumer.list", {})).code == "forbidden"


async def test_viewers_make_none_and_there_is_an_end_to_their_number(people: People) -> None:
    assert (await people.viewer.refused("consumer.create", CreateConsumer(name="a"))).code == "forbidden"
    for number in range(MOST):
        await people.admin.ask("consumer.create", CreateConsumer(name=f"c{number}"), Consumer)

    assert (await people.admin.refused("consumer.create", CreateConsumer(name="more"))).code == "conflict"


@pytest.mark.parametrize(
    "body", [{"name": "a.b"}, {"name": "*"}, {"name": "a", "pattern": "a.>.b"}, {"name": "a", "pattern": ""}]
)
async def test_names_and_patterns_are_checked(people: People, body: dict[str, object]) -> None:
    assert (await people.admin.refused("consumer.create", body)).code == "invalid-request"


@pytest.mark.usefixtures("registry")
async def test_what_was_executed_is_kept_for_no_consumer(people: People) -> None:
    refused = await people.admin.refused("consumer.create", CreateConsumer(name="all", pattern="operation.*.executed"))
    assert (refused.code, "call log" in refused.detail) == ("invalid-request", True)
