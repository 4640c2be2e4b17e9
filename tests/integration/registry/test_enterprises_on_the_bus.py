"""What other services tell of enterprises, in any order and more than once, and what follows from it."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import msgspec
import pytest
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from services.registry.store import SqlStore
from shared.contracts import commands, subjects
from shared.contracts.commands import (
    ChangeEnterprise,
    Draft,
    Enterprise,
    EnterprisePage,
    GetDraft,
    ListConnectors,
    ShowEnterprise,
)
from shared.contracts.errors import DibopError
from shared.contracts.events import Event
from shared.contracts.projections import EnterpriseEntry
from shared.messaging.events import publish_event
from tests.integration.registry.conftest import People, Person, StartRegistry, all_heard
from tests.support.polling import eventually


async def tell(js: JetStreamContext, what: str, second: int, enterprise: str = "acme", **data: object) -> Event:
    event = Event("platform", "enterprise", enterprise, what, "tenants", data, time=f"2026-01-31T09:00:{second:02}Z")
    await publish_event(js, event)
    return event


async def entry(js: JetStreamContext, enterprise: str = "acme") -> EnterpriseEntry:
    kv = await js.key_value(subjects.ENTERPRISES_BUCKET)
    return msgspec.json.decode((await kv.get(enterprise)).value or b"", type=EnterpriseEntry)


async def shown(people: People, enterprise: str = "acme") -> Enterprise:
    return await people.platform.ask("enterprise.show", ShowEnterprise(id=enterprise), Enterprise)


@pytest.mark.usefixtures("registry")
async def test_a_suspended_enterprise_is_refused_until_it_is_resumed(people: People, js: JetStreamContext) -> None:
    await people.author.save()

    await tell(js, "suspended", 1, reason="unpaid")
    await eventually(lambda: _refused(people.author))
    told = await people.author.refused("connector.list", ListConnectors())
    stranger = await people.stranger.refused("connector.list", ListConnectors())
    read_by_platform = Person(people.platform.nc, people.platform.token, "acme")
    seen = await read_by_platform.ask("connector.list", ListConnectors(), commands.ConnectorPage)
    published = await people.publisher.ask("draft.get", GetDraft(slug="weather"), Draft)
    state = await shown(people)
    await tell(js, "resumed", 2)
    await eventually(lambda: _sees_the_draft(people.author))

    assert told.code == "enterprise-suspended"
    assert "operator" in told.detail
    assert stranger.code == "forbidden"
    assert seen.connectors == []
    assert published.revision == 1
    assert (state.state, state.reason, state.changed_at) == ("suspended", "unpaid", "2026-01-31T09:00:01.000Z")
    assert await entry(js) == EnterpriseEntry("acme", 2, suspended=False, sdk_access=True)
    actions = [each.action for each in await people.platform.audit(noun="enterprise")]
    assert actions == ["enterprise.resumed", "enterprise.suspended"]


@pytest.mark.usefixtures("registry")
async def test_without_sdk_access_authors_are_admins(people: People, js: JetStreamContext) -> None:
    await people.author.save()

    await tell(js, "sdk_access_changed", 1, sdk_access=False)
    await eventually(lambda: _code(people.author, "draft.get", "not-found"))
    refused = await people.author.refused("draft.patch", {"slug": "weather", "patch": {}, "base_revision": 1})
    listed = await people.author.ask("connector.list", ListConnectors(), commands.ConnectorPage)
    await tell(js, "sdk_access_changed", 2, sdk_access=True)
    await eventually(lambda: _sees_the_draft(people.author))

    assert refused.code == "forbidden"
    assert "no SDK access" in refused.detail
    assert listed.connectors == []


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("seed", range(4))
async def test_any_order_and_repeats_lead_to_the_same(people: People, js: JetStreamContext, seed: int) -> None:
    stories: list[tuple[str, dict[str, Any]]] = [
        ("registered", {"name": "Acme", "sdk_access": False}),
        ("suspended", {"reason": "unpaid"}),
        ("sdk_access_changed", {"sdk_access": True}),
        ("resumed", {}),
        ("registered", {"name": "Acme AG"}),
        ("sdk_access_changed", {"sdk_access": False}),
        ("suspended", {"reason": "unpaid again"}),
    ]
    events = [
        Event("platform", "enterprise", "acme", what, "tenants", data, time=f"2026-01-31T09:00:{second:02}Z")
        for second, (what, data) in enumerate(stories)
    ]
    sent = events * 3
    random.Random(seed).shuffle(sent)
    for number, event in enumerate(sent):
        headers = event.headers() | {"Nats-Msg-Id": f"{seed}-{number}-{event.id}"}  # so that repeats are kept
        await js.publish(event.subject, event.body(), headers=headers)
    await eventually(lambda: all_heard(js))

    state = await shown(people)
    assert (state.name, state.state, state.reason, state.sdk_access) == ("Acme AG", "suspended", "unpaid again", False)
    projected = await entry(js)
    assert (projected.suspended, projected.sdk_access) == (True, False)


@pytest.mark.usefixtures("registry")
async def test_what_cannot_be_read_stops_nothing(people: People, js: JetStreamContext) -> None:
    await js.publish("evt.v1.platform.enterprise.acme.suspended", b"{", headers={"ce-id": "1"})
    await js.publish("evt.v1.platform.enterprise.acme.suspended", b"{}")
    await js.publish("evt.v1.platform.enterprise.suspended", b"{}", headers={"ce-id": "2"})
    await js.publish("evt.v1.platform.enterprise.acme.sdk_access_changed", b"[]", headers={"ce-id": "3"})
    await js.publish("evt.v1.platform.enterprise.acme.renamed", b"{}", headers={"ce-id": "4"})
    await tell(js, "registered", 1, "globex", name="Globex")

    await eventually(lambda: all_heard(js))

    listed = await people.platform.ask("enterprise.list", {}, EnterprisePage)
    assert [(each.id, each.name) for each in listed.enterprises] == [("globex", "Globex")]


@pytest.mark.usefixtures("registry")
async def test_a_platform_admin_suspends_and_the_event_goes_out(people: People, js: JetStreamContext) -> None:
    command = ChangeEnterprise(id="acme", what="suspended", reason="unpaid")

    answer = await people.platform.ask("enterprise.change", command, Enterprise)

    assert answer.state == "suspended"
    assert (await entry(js)).suspended
    await eventually(lambda: _refused(people.admin))
    assert await eventually(lambda: told_last(js)) == {"reason": "unpaid", "actor": "pat"}
    await eventually(lambda: all_heard(js))
    assert len(await people.platform.audit(noun="enterprise")) == 1
    assert (await people.admin.refused("enterprise.change", command)).code in {"forbidden", "enterprise-suspended"}


async def test_what_was_told_while_the_registry_was_away_is_heard_later(
    people: People, js: JetStreamContext, store: SqlStore, start_registry: StartRegistry
) -> None:
    await tell(js, "suspended", 1)

    start_registry()

    await eventually(lambda: _is_suspended(store), 20)
    await eventually(lambda: _refused(people.admin))


async def told_last(js: JetStreamContext) -> Any:
    """The data of the last suspension in the stream; None while there is none."""
    with contextlib.suppress(NotFoundError):
        message = await js.get_last_msg(subjects.EVENTS_STREAM, "evt.v1.platform.enterprise.acme.suspended")
        return msgspec.json.decode(message.data or b"")
    return None


async def _is_suspended(store: SqlStore) -> bool:
    async with store.read() as work:
        record = await work.enterprises.find("acme")
    return record is not None and record.suspended


async def _refused(person: Person) -> bool:
    return await _code(person, "connector.list", "enterprise-suspended")


async def _sees_the_draft(person: Person) -> bool:
    return await _code(person, "draft.get", "ok")


async def _code(person: Person, what: str, code: str) -> bool:
    body = GetDraft(slug="weather") if what == "draft.get" else ListConnectors()
    try:
        await person.ask(what, body, Draft if what == "draft.get" else commands.ConnectorPage)
    except DibopError as refused:
        return refused.code == code
    return code == "ok"


@pytest.mark.usefixtures("registry")
async def test_a_consumer_that_is_lost_is_made_again(people: People, js: JetStreamContext) -> None:
    await tell(js, "registered", 1, name="Acme")
    await eventually(lambda: all_heard(js))

    await js.delete_consumer(subjects.EVENTS_STREAM, subjects.REGISTRY_CONSUMER)
    await tell(js, "suspended", 2)

    await eventually(lambda: _refused(people.admin), 30)
