"""Connectors whose limits matter, and what comes of calls to them."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from shared.contracts.errors import DibopError
from tests.integration.executor.world import Bus, get, query
from tests.support.fault_server import Call, behaviour

FAST: dict[str, Any] = {
    "timeout_seconds": 5,
    "max_retries": 0,
    "retry_delay_seconds": 0.05,
    "retry_backoff": "none",
    "rate_limit_per_minute": 0,
    "circuit_breaker_threshold": 0,
    "circuit_breaker_recovery_seconds": 1,
}
STATUS = get("status", "/late", query("status", type="integer", default=200), query("after", type="number", default=0),
             query("retry_after"))  # fmt: skip


@behaviour("late")
async def late(call: Call) -> bool:
    """`/late?status=…&after=…&retry_after=…`: a status, `after` seconds later."""
    given = call.arrival.query
    await asyncio.sleep(call.number("after", 0))
    headers = (("Retry-After", given["retry_after"]),) if "retry_after" in given else ()
    return await call.answer(int(given["status"]), b"", headers)


def ask(name: str, address: str, **changes: Any) -> dict[str, Any]:
    """An operation at `/path?name=value…`, each value being a parameter's default."""
    path, _, rest = address.partition("?")
    pairs = [pair.partition("=") for pair in rest.split("&") if pair]
    return get(name, path, *(query(key, default=value) for key, _, value in pairs), **changes)


def limits(**changes: Any) -> dict[str, Any]:
    return {**FAST, **changes}


async def outcome(bus: Bus, slug: str, operation: str, /, deadline: float | None = None, **parameters: Any) -> str:
    """The status that a call came to, or the code of its error."""
    headers = None if deadline is None else {"Dibop-Deadline-Ms": str(round(deadline * 1000))}
    try:
        result = await bus.execute(slug, operation, parameters, headers=headers)
    except DibopError as error:
        return error.code
    return str(result["status_code"])


async def outcomes(bus: Bus, count: int, slug: str, operation: str, /, **parameters: Any) -> Counter[str]:
    """What so many calls at once came to."""
    return Counter(await asyncio.gather(*(outcome(bus, slug, operation, **parameters) for _ in range(count))))
