"""Names resolved once, checked, and remembered for a while."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import pytest

from services.executor.transport.egress import EgressDenied, EgressPolicy
from services.executor.transport.resolver import CheckedResolver


class FakeLookup:
    def __init__(self, **addresses: Sequence[str]) -> None:
        self.addresses = addresses
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        await self.gate.wait()
        if host not in self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return self.addresses[host]


async def test_the_checked_addresses_are_handed_out_in_order() -> None:
    resolver = CheckedResolver(EgressPolicy(), FakeLookup(api=["8.8.8.8", "2606:4700::1"]))
    found = await resolver.resolve("api", 443)
    assert [str(address) for address in found] == ["8.8.8.8", "2606:4700::1"]


async def test_an_address_is_not_looked_up_but_checked() -> None:
    lookup = FakeLookup()
    resolver = CheckedResolver(EgressPolicy(), lookup)
    assert [str(address) for address in await resolver.resolve("8.8.8.8", 443)] == ["8.8.8.8"]
    with pytest.raises(EgressDenied):
        await resolver.resolve("10.0.0.1", 443)
    assert lookup.asked == []


async def test_an_answer_is_remembered_until_its_time_is_over() -> None:
    lookup = FakeLookup(api=["8.8.8.8"])
    kept, forgotten = CheckedResolver(EgressPolicy(), lookup), CheckedResolver(EgressPolicy(), lookup, ttl=0)
    for _ in range(3):
        await kept.resolve("api", 443)
    assert len(lookup.asked) == 1
    for _ in range(3):
        await forgotten.resolve("api", 443)
    assert len(lookup.asked) == 4


async def test_a_remembered_answer_is_checked_for_each_port() -> None:
    resolver = CheckedResolver(EgressPolicy.parse("api:80"), FakeLookup(api=["10.0.0.1"]))
    await resolver.resolve("api", 80)
    with pytest.raises(EgressDenied):
        await resolver.resolve("api", 81)


async def test_callers_at_the_same_time_share_a_lookup_and_one_leaving_does_not_end_it() -> None:
    lookup = FakeLookup(api=["8.8.8.8"])
    lookup.gate.clear()
    resolver = CheckedResolver(EgressPolicy(), lookup)
    leaving, staying = (asyncio.create_task(resolver.resolve("api", 443)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0)
    lookup.gate.set()
    assert [str(address) for address in await staying] == ["8.8.8.8"]
    assert lookup.asked == ["api"]
    assert leaving.cancelled()


async def test_a_failure_is_not_remembered() -> None:
    lookup = FakeLookup()
    resolver = CheckedResolver(EgressPolicy(), lookup)
    for _ in range(2):
        with pytest.raises(OSError, match="unknown"):
            await resolver.resolve("api", 443)
    assert len(lookup.asked) == 2


async def test_the_memory_is_bounded() -> None:
    lookup = FakeLookup(a=["8.8.8.8"], b=["8.8.8.8"], c=["8.8.8.8"])
    resolver = CheckedResolver(EgressPolicy(), lookup, size=2)
    for host in ("a", "b", "c", "c", "b", "a"):
        await resolver.resolve(host, 443)
    assert lookup.asked == ["a", "b", "c", "a"]
