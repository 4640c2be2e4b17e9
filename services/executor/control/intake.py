"""Commands to the executors on the bus, answered by whichever worker is free.

Nothing here is on the path of executions. The token is verified by the executor itself.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from pydantic import BaseModel

from services.executor.callers import Callers
from services.executor.control.commands import command_of
from services.executor.control.ports import Caller, Controls
from shared.contracts.errors import DibopError
from shared.contracts.execution import AUTHORIZATION_HEADER, MAX_REQUEST_BYTES, REQUEST_ID_HEADER
from shared.contracts.subjects import CONTROL_PATTERN, EXECUTORS_QUEUE, enterprise_of, parse
from shared.messaging.replies import as_dibop_error, encode_reply, problem_bytes, request_id_of
from shared.messaging.reply_guard import DroppedRequests, reply_allowed
from shared.messaging.validation import read_body

_AT_ONCE: Final = 32

_log = structlog.get_logger(__name__)


class Control:
    """The subjects of these commands: 32 at work at once, others are `overloaded`; one reply for each."""

    def __init__(self, nc: Client, callers: Callers, controls: Controls) -> None:
        self._nc = nc
        self._callers = callers
        self._controls = controls
        self._dropped = DroppedRequests()
        self._tasks: set[asyncio.Task[None]] = set()
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        """Return once the server knows the subscription."""
        self._subscription = await self._nc.subscribe(CONTROL_PATTERN, queue=EXECUTORS_QUEUE, cb=self._take)
        await self._nc.flush()

    async def drain(self, seconds: float) -> None:
        """Take no more; answer what was taken, within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                if self._subscription is not None:
                    await self._subscription.drain()  # type: ignore[no-untyped-call]  # no annotation in nats-py
                await asyncio.gather(*self._tasks)
        except (NatsError, TimeoutError) as error:
            _log.warning("Operators' commands are ended unfinished", error=str(error) or type(error).__name__)
            for task in self._tasks:
                task.cancel()

    async def _take(self, message: Msg) -> None:
        if not message.reply:
            return
        if not reply_allowed(enterprise_of(message.subject), message.reply):
            self._dropped.add(message.subject, message.reply)
            return
        task = asyncio.create_task(self._serve(message, full=len(self._tasks) >= _AT_ONCE))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, message: Msg, *, full: bool) -> None:
        request_id = request_id_of(message.headers)
        headers = {REQUEST_ID_HEADER: request_id, "content-type": "application/json"}
        try:
            body = encode_reply(await self._answer(message, request_id, full=full))
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets its one reply
            body, headers = problem_bytes(as_dibop_error(error, request_id), request_id)
        try:
            await self._nc.publish(message.reply, body, headers=headers)
        except (NatsError, OSError, ValueError) as error:
            _log.error("A reply could not be sent", subject=message.subject, error=str(error) or type(error).__name__)

    async def _answer(self, message: Msg, request_id: str, *, full: bool) -> BaseModel:
        if full:
            raise DibopError(
                "overloaded", f"This worker has {_AT_ONCE} operators' commands already. Repeat in a moment."
            )
        address = parse(message.subject)
        authorization = (message.headers or {}).get(AUTHORIZATION_HEADER)
        principal = await self._callers.principal(authorization)
        caller = Caller(principal, address.enterprise, request_id, (authorization or "").partition(" ")[2])
        command = command_of(address.first, address.second)
        body = read_body(message.data, command.model, max_bytes=MAX_REQUEST_BYTES)
        return await command.handle(caller, body, self._controls)
