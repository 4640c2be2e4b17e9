"""Enterprises: what is told of them adds up to the same in any order, however often."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.registry.domain.enterprises import EnterpriseRecord, Moment, Told, added_up, read_event
from services.registry.handlers import enterprises, projections
from services.registry.handlers.ports import Caller
from shared.contracts.commands import ChangeEnterprise, EnterpriseChange, ListEnterprises, ShowEnterprise
from shared.contracts.errors import DibopError
from shared.contracts.events import Event
from shared.contracts.projections import EnterpriseEntry
from tests.unit.registry.fakes import MemoryProjections, MemoryStore

STORED = datetime(2026, 1, 31, 9, 5, tzinfo=UTC)


def event(what: str, data: Any = None, *, at: str = "2026-01-31T09:00:00Z", enterprise: str = "acme") -> Event:
    return Event("platform", "enterprise", enterprise, what, "tenants", data or {}, time=at)


def told(what: EnterpriseChange, second: int, **said: Any) -> Told:
    return Told("acme", what, Moment(f"2026-01-31T09:00:{second:02}.000Z", second), **said)


HISTORY = [
    told("registered", 1, name="Acme", sdk_access=False),
    told("suspended", 2, reason="unpaid"),
    told("sdk_access_changed", 3, sdk_access=True),
    told("resumed", 4),
    told("registered", 5, name="Acme AG"),
    told("suspended", 6, reason="unpaid again"),
]


def total(stories: list[Told]) -> EnterpriseRecord:
    record = EnterpriseRecord("acme")
    for each in stories:
        record = added_up(record, each)
    return record


def test_what_is_told_last_holds() -> None:
    record = total(HISTORY)

    assert (record.name, record.suspended, record.reason, record.sdk_access) == ("Acme AG", True, "unpaid again", True)


def test_every_order_of_arrival_leads_to_the_same() -> None:
    assert {total(list(order)) for order in itertools.permutations(HISTORY)} == {total(HISTORY)}


@given(st.lists(st.sampled_from(HISTORY), max_size=20))
def test_repeats_and_gaps_make_no_difference_but_by_what_was_heard(heard: list[Told]) -> None:
    assert total(heard) == total([each for each in HISTORY if each in heard])


def test_in_the_same_millisecond_the_place_in_the_stream_decides() -> None:
    at = "2026-01-31T09:00:00.000Z"
    first, second = Told("acme", "suspended", Moment(at, 7)), Told("acme", "resumed", Moment(at, 8))

    assert not total([second, first]).suspended
    assert not total([first, second]).suspended


def test_an_event_is_read_with_its_own_time() -> None:
    read = read_event(event("suspended", {"reason": "unpaid", "else": 1}), stored_at=STORED, sequence=7)

    assert read == Told("acme", "suspended", Moment("2026-01-31T09:00:00.000Z", 7), reason="unpaid")


@pytest.mark.parametrize("at", ["2999-01-01T00:00:00Z", "2026-01-31T10:05:01+01:00", "", "yesterday", "2026-01-31"])
def test_an_event_is_no_later_than_it_was_stored(at: str) -> None:
    read = read_event(event("suspended", at=at), stored_at=STORED, sequence=7)

    assert read.moment == Moment("2026-01-31T09:05:00.000Z", 7)


@pytest.mark.parametrize(
    ("what", "data", "said"),
    [
        ("registered", {"name": "Acme"}, {"name": "Acme", "sdk_access": None}),
        ("registered", {"name": 7, "sdk_access": False}, {"name": None, "sdk_access": False}),
        ("registered", {"sdk_access": "no"}, {"name": None, "sdk_access": None}),
        ("sdk_access_changed", {"sdk_access": False}, {"sdk_access": False}),
        ("resumed", {"sdk_access": False, "reason": "x"}, {"sdk_access": None, "reason": ""}),
        ("suspended", {"reason": "a\0b" + "c" * 2000}, {"reason": "a b" + "c" * 997}),
    ],
)
def test_of_an_event_is_taken_what_it_is_about(what: str, data: dict[str, Any], said: dict[str, Any]) -> None:
    read = read_event(event(what, data), stored_at=STORED, sequence=7)

    assert {name: getattr(read, name) for name in said} == said


@pytest.mark.parametrize(
    "unusable",
    [
        event("deleted"),
        event("sdk_access_changed"),
        event("sdk_access_changed", {"sdk_access": "yes"}),
        event("suspended", enterprise="platform"),
        event("suspended", enterprise="svc"),
        event("suspended", enterprise="Acme"),
        event("registered", ["name"]),
    ],
)
def test_what_tells_nothing_of_an_enterprise_is_said_to(unusable: Event) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_event(unusable, stored_at=STORED, sequence=7)


@pytest.fixture
def written() -> MemoryProjections:
    return MemoryProjections()


async def test_what_is_heard_is_kept_projected_and_audited_once(store: MemoryStore, written: MemoryProjections) -> None:
    for _ in range(2):
        await enterprises.hear(store, written, HISTORY[1], event("suspended"))

    assert written.enterprises == {"acme": EnterpriseEntry("acme", 1, suspended=True, sdk_access=True)}
    (entry,) = store.state.audit
    assert (entry.actor, entry.enterprise, entry.action, entry.identifier) == (
        "tenants",
        "platform",
        "enterprise.suspended",
        "acme",
    )
    assert entry.details == {"at": "2026-01-31T09:00:02.000Z", "reason": "unpaid"}


async def test_what_a_crash_left_unprojected_is_projected_later(store: MemoryStore, written: MemoryProjections) -> None:
    written.broken = True
    with pytest.raises(ConnectionError):
        await enterprises.hear(store, written, HISTORY[1], event("suspended"))
    written.broken = False

    assert await projections.finish(store, written) == 1
    assert written.enterprises["acme"].suspended
    assert await projections.finish(store, written) == 0


async def test_a_platform_admin_tells_as_another_service_would(
    store: MemoryStore, written: MemoryProjections, platform: Caller
) -> None:
    command = ChangeEnterprise(id="acme", what="suspended", reason="unpaid")

    shown = await enterprises.change(store, written, platform, command)

    assert (shown.state, shown.reason, shown.sdk_access) == ("suspended", "unpaid", True)
    assert written.enterprises["acme"].suspended
    (sent,) = store.state.events
    assert sent.subject == "evt.v1.platform.enterprise.acme.suspended"
    assert sent.data == {"reason": "unpaid", "actor": "pat"}
    heard = read_event(sent, stored_at=datetime.now(UTC), sequence=9)
    await enterprises.hear(store, written, heard, sent)
    assert len(store.state.audit) == 1
    assert written.enterprises["acme"].generation == 1


async def test_enterprises_are_listed_and_shown(
    store: MemoryStore, written: MemoryProjections, platform: Caller
) -> None:
    for name in ("acme", "globex", "initech"):
        await enterprises.change(store, written, platform, ChangeEnterprise(id=name, what="registered", name=name))
    await enterprises.change(store, written, platform, ChangeEnterprise(id="globex", what="suspended"))

    first = await enterprises.page(store, platform, ListEnterprises(limit=2))
    rest = await enterprises.page(store, platform, ListEnterprises(limit=2, after=first.next_after))
    suspended = await enterprises.page(store, platform, ListEnterprises(state="suspended"))

    assert [each.id for each in (*first.enterprises, *rest.enterprises)] == ["acme", "globex", "initech"]
    assert (first.next_after, rest.next_after) == ("globex", None)
    assert [each.id for each in suspended.enterprises] == ["globex"]
    assert (await enterprises.show(store, platform, ShowEnterprise(id="acme"))).name == "acme"
    with pytest.raises(DibopError, match="Nothing was told"):
        await enterprises.show(store, platform, ShowEnterprise(id="nobody"))


@pytest.mark.parametrize(
    "command",
    [
        ChangeEnterprise(id="platform", what="suspended"),
        ChangeEnterprise(id="svc", what="registered"),
        ChangeEnterprise(id="acme", what="sdk_access_changed"),
    ],
)
async def test_what_cannot_be_is_refused(
    store: MemoryStore, written: MemoryProjections, platform: Caller, command: ChangeEnterprise
) -> None:
    with pytest.raises(DibopError) as refused:
        await enterprises.change(store, written, platform, command)
    assert refused.value.code == "invalid-request"


async def test_enterprises_do_not_change_themselves(
    store: MemoryStore, written: MemoryProjections, author: Caller
) -> None:
    with pytest.raises(DibopError) as refused:
        await enterprises.change(store, written, author, ChangeEnterprise(id="acme", what="resumed"))
    assert refused.value.code == "forbidden"
