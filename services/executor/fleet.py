"""The sealing keys of all workers, each asked over NATS (ADR-32): what this worker holds, the others may not yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import msgspec
import structlog
from nats.aio.client import Client
from nats.errors import TimeoutError as NatsTimeoutError

from services.executor.keys import LiveRing
from services.executor.resealing import kids_of
from shared.contracts.commands import KeysShown, WorkerKeys
from shared.contracts.projections import ConnectionEntry

METADATA: Final = "sealing_keys"
"""Where a worker's keys stand in the metadata of its `$SRV.INFO`, as JSON."""
ANSWER_SECONDS: Final = 1.0
_QUIET_SECONDS: Final = 0.2
_SUBJECT: Final = "$SRV.INFO.dibop-executor"

_log = structlog.get_logger(__name__)


class _Info(msgspec.Struct):
    metadata: dict[str, str]


def keys_of(worker: str, ring: LiveRing | None, connections: Iterable[ConnectionEntry]) -> WorkerKeys:
    """What this worker tells of its keys."""
    in_use: dict[str, int] = {}
    for entry in connections:
        for kid in kids_of(entry):
            in_use[kid] = in_use.get(kid, 0) + 1
    active, kids = ("", []) if ring is None else (ring.active, ring.kids)
    return WorkerKeys(worker=worker, active=active, keys=kids, in_use=in_use)


class FleetKeys:
    """Asks every worker for its keys. `workers` is how many there were lately."""

    def __init__(self, nc: Client, workers: Callable[[], int]) -> None:
        self._nc = nc
        self._workers = workers

    async def ask(self) -> KeysShown:
        """Everybody's answer, within a second; earlier when all whom there were have answered."""
        inbox = self._nc.new_inbox()
        subscription = await self._nc.subscribe(inbox)
        answers: list[WorkerKeys] = []
        try:
            await self._nc.publish(_SUBJECT, b"", reply=inbox)
            async with asyncio.timeout(ANSWER_SECONDS):
                while True:
                    quiet = _QUIET_SECONDS if len(answers) >= self._workers() else ANSWER_SECONDS
                    message = await subscription.next_msg(timeout=quiet)
                    answers += _read(message.data)
        except (NatsTimeoutError, TimeoutError):
            pass
        finally:
            await subscription.unsubscribe()
        return KeysShown(workers=sorted(answers, key=lambda each: each.worker), expected=self._workers())


def _read(data: bytes) -> list[WorkerKeys]:
    try:
        told = msgspec.json.decode(data, type=_Info).metadata[METADATA]
        return [WorkerKeys.model_validate_json(told)]
    except (msgspec.MsgspecError, KeyError, ValueError):
        _log.warning("A worker tells nothing of its keys; is it of an older version?")
        return []
