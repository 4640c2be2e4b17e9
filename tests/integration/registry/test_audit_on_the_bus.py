"""The audit log over the bus."""

from __future__ import annotations

import asyncio

import pytest

from shared.contracts.commands import AppendAudit, AuditAppended, AuditPage, ListAudit
from tests.integration.registry.conftest import People

pytestmark = pytest.mark.usefixtures("registry")


def entry(number: int = 1) -> AppendAudit:
    return AppendAudit(
        id=f"e-{number}",
        at="2026-01-31T09:05:00.123Z",
        actor="ada",
        action="connector.publish",
        noun="connector",
        identifier="weather",
        details={"number": number, "odd": "\0 é"},
        request_id="r-7",
    )


async def test_an_entry_is_appended_once_however_often_it_comes(people: People) -> None:
    outcomes = await asyncio.gather(*(people.publisher.ask("audit.append", entry(), AuditAppended) for _ in range(6)))

    assert sum(outcome.appended for outcome in outcomes) == 1
    (kept,) = await people.admin.audit()
    assert (kept.actor, kept.enterprise, kept.details["odd"], kept.request_id) == ("ada", "acme", "\0 é", "r-7")


async def test_entries_are_paged_newest_first(people: People) -> None:
    for number in range(1, 8):
        await people.publisher.ask("audit.append", entry(number), AuditAppended)

    seen, before = [], None
    while True:
        page = await people.admin.ask("audit.list", ListAudit(limit=3, before=before), AuditPage)
        seen += [found.details["number"] for found in page.entries]
        if (before := page.next_before) is None:
            break

    assert seen == [7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize("before", [2**70, -(2**70)])
async def test_any_number_pages(people: People, before: int) -> None:
    await people.publisher.ask("audit.append", entry(), AuditAppended)

    assert len(await people.admin.audit(before=before)) == (1 if before > 0 else 0)


async def test_filters_narrow_the_list(people: People) -> None:
    await people.author.save("weather")
    await people.author.save("maps")

    assert [found.identifier for found in await people.admin.audit(noun="connector", identifier="maps")] == ["maps"]
    assert await people.admin.audit(noun="connection") == []


async def test_only_services_append_and_only_admins_read(people: People) -> None:
    assert (await people.admin.refused("audit.append", entry())).code == "forbidden"
    for person in (people.viewer, people.stranger):
        assert (await person.refused("audit.list", {})).code == "forbidden"


async def test_an_enterprise_reads_its_own_entries_alone(people: People) -> None:
    await people.platform.save("maps")
    await people.author.save("weather")

    assert [found.identifier for found in await people.admin.audit()] == ["weather"]
    assert [found.identifier for found in await people.platform.audit()] == ["maps"]
