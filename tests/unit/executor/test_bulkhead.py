"""The bulkhead: slots per key, first come, first served, and none that gets lost."""

from __future__ import annotations

import asyncio

import pytest

from services.executor.resilience.bulkhead import Bulkhead


async def waiter(bulkhead: Bulkhead, order: list[int], number: int, seconds: float = 10) -> bool:
    got = await bulkhead.wait("a", seconds)
    if got:
        order.append(number)
    return got


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_full_key_leaves_others_alone() -> None:
    bulkhead = Bulkhead(2)
    assert [bulkhead.take("a"), bulkhead.take("a"), bulkhead.take("a"), bulkhead.take("b")] == [True, True, False, True]


def test_what_is_given_up_is_free_again_and_unused_keys_vanish() -> None:
    bulkhead = Bulkhead(1)
    assert bulkhead.take("a")
    bulkhead.leave("a")
    assert len(bulkhead) == 0
    assert bulkhead.take("a")


async def test_slots_are_handed_over_in_order_of_arrival() -> None:
    bulkhead, order = Bulkhead(1), list[int]()
    assert bulkhead.take("a")
    tasks = [asyncio.create_task(waiter(bulkhead, order, number)) for number in range(3)]
    await settled()
    for served in range(1, 4):
        bulkhead.leave("a")
        assert not bulkhead.take("a"), "a slot that is handed over cannot be taken by who comes later"
        await settled()
        assert order == list(range(served))
    assert await asyncio.gather(*tasks) == [True, True, True]
    bulkhead.leave("a")
    assert len(bulkhead) == 0


async def test_who_waits_too_long_goes_without_and_loses_no_slot() -> None:
    bulkhead, order = Bulkhead(1), list[int]()
    assert bulkhead.take("a")
    assert not await waiter(bulkhead, order, 1, seconds=0.01)
    assert not await waiter(bulkhead, order, 1, seconds=0)
    bulkhead.leave("a")
    assert (len(bulkhead), order) == (0, [])


@pytest.mark.parametrize("handed_over", [True, False])
async def test_a_cancelled_waiter_loses_no_slot(handed_over: bool) -> None:
    bulkhead, order = Bulkhead(1), list[int]()
    assert bulkhead.take("a")
    cancelled = asyncio.create_task(waiter(bulkhead, order, 1))
    following = asyncio.create_task(waiter(bulkhead, order, 2))
    await settled()
    if handed_over:
        bulkhead.leave("a")
    cancelled.cancel()
    await settled()
    if not handed_over:
        bulkhead.leave("a")
    assert await following
    assert (cancelled.cancelled(), order) == (True, [2])
    bulkhead.leave("a")
    assert len(bulkhead) == 0
