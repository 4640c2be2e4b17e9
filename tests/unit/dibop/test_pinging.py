"""Pinging many connections: bounded, each by itself, in the order that was asked for."""

from __future__ import annotations

import asyncio

from dibop.pinging import Pinged, ping_all
from shared.contracts.commands import PingConnection, Probed, ProbeStep
from shared.contracts.errors import DibopError

STEPS = [ProbeStep(step=name, outcome="pass") for name in ("dns", "tcp", "tls", "http", "auth")]
ONLINE = Probed(outcome="online", steps=STEPS, duration_ms=1.0)
NAMES = [("crm", f"c{number}") for number in range(20)]


class Pings:
    def __init__(self) -> None:
        self.under_way = self.most = 0

    async def ping(self, command: PingConnection) -> Probed:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        if command.connection == "c3":
            raise DibopError("rate-limited", "Too many.")
        return ONLINE


async def test_only_so_many_are_under_way_and_one_that_fails_keeps_no_other() -> None:
    pings, heard = Pings(), list[Pinged]()

    pinged = await ping_all(pings, NAMES, at_once=4, on_pinged=heard.append)

    assert pings.most == 4
    assert [(each.connector, each.connection) for each in pinged] == NAMES
    assert {each.connection for each in pinged if not each.online} == {"c3"}
    assert len(heard) == len(NAMES)


async def test_what_could_not_be_found_out_is_told_as_a_problem() -> None:
    pinged = (await ping_all(Pings(), [("crm", "c3")]))[0]

    assert (pinged.outcome, pinged.why) == ("rate-limited", "Too many.")
    assert pinged.told()["error"]["status"] == 429
    assert (await ping_all(Pings(), [("crm", "c1")]))[0].told()["outcome"] == "online"
