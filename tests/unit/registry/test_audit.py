"""The audit log's commands."""

from __future__ import annotations

import pytest

from services.registry.handlers import audit
from services.registry.handlers.ports import Caller
from shared.contracts.commands import AppendAudit, ListAudit
from shared.contracts.errors import DibopError
from tests.unit.registry.fakes import MemoryStore


def entry(number: int = 1, **changes: object) -> AppendAudit:
    made = AppendAudit(
        id=f"e-{number}",
        at="2026-01-31T10:05:00.123456+01:00",
        actor="ada",
        action="connector.publish",
        noun="connector",
        identifier="weather",
        details={"number": number},
    )
    return made.model_copy(update=changes)


async def test_a_service_appends_once(store: MemoryStore, publisher: Caller) -> None:
    assert (await audit.append(store, publisher, entry())).appended
    assert not (await audit.append(store, publisher, entry())).appended
    assert [kept.at for kept in store.state.audit] == ["2026-01-31T09:05:00.123Z"]


async def test_nobody_else_appends(store: MemoryStore, author: Caller) -> None:
    with pytest.raises(DibopError) as refused:
        await audit.append(store, author, entry())
    assert refused.value.code == "forbidden"


@pytest.mark.parametrize("at", ["yesterday", "", "2026-01-31T10:05:00", "0001-01-01T00:00:00+05:00"])
async def test_an_entry_has_an_instant(store: MemoryStore, publisher: Caller, at: str) -> None:
    with pytest.raises(DibopError, match="`at`"):
        await audit.append(store, publisher, entry(at=at))


async def test_details_are_bounded(store: MemoryStore, publisher: Caller) -> None:
    with pytest.raises(DibopError, match="16384"):
        await audit.append(store, publisher, entry(details={"text": "x" * 20_000}))


async def test_entries_are_listed_newest_first_in_pages(store: MemoryStore, publisher: Caller, author: Caller) -> None:
    for number in range(1, 6):
        await audit.append(store, publisher, entry(number))

    first = await audit.page(store, author, ListAudit(limit=3))
    second = await audit.page(store, author, ListAudit(limit=3, before=first.next_before))

    assert [e.details["number"] for e in first.entries + second.entries] == [5, 4, 3, 2, 1]
    assert second.next_before is None


async def test_others_do_not_read_it(store: MemoryStore, stranger: Caller, viewer: Caller) -> None:
    for person in (stranger, viewer):
        with pytest.raises(DibopError) as refused:
            await audit.page(store, person, ListAudit())
        assert refused.value.code == "forbidden"
