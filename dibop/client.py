"""The async client: execute operations, command registry and publisher, listen to events.

async with Client.connect() as client:
    result = await client.execute("openweathermap", "get_current_weather", q="London")
    print(result.response["main"]["temp"])
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar

from nats.aio.subscription import Subscription
from pydantic import BaseModel, ValidationError

from dibop.bus import Bus
from dibop.context import Context
from dibop.errors import BrokenReplyError, DibopError, InvalidRequestError, NotAllowedError, typed
from dibop.execution import Execution, build, decode_reply, join_parts, parts_of
from shared.contracts import subjects
from shared.contracts.events import PUBLIC_EVENTS, Event, narrowed
from shared.contracts.execution import (
    CONNECTION_HEADER,
    DEADLINE_HEADER,
    DEFAULT_DEADLINE_MS,
    IDEMPOTENCY_HEADER,
    REQUEST_ID_HEADER,
    VERSION_HEADER,
    ResponseBody,
)
from shared.contracts.names import PLATFORM, require_slug, require_token
from shared.tasks import end

Reply = TypeVar("Reply", bound=BaseModel)
Plane = Literal["registry", "publisher", "executor"]

DEFAULT_DEADLINE_SECONDS: Final = DEFAULT_DEADLINE_MS / 1000
COMMAND_SECONDS: Final = 30.0
_GRACE_SECONDS: Final = 2.0
"""How much longer than its deadline a caller listens: the answer to a passed deadline is on its way."""
_PART_SECONDS: Final = 10.0


class Client:
    """One connection to the bus, in the name of the context's caller. Made by `connect`."""

    def __init__(self, context: Context, *, name: str = "dibop-client", connect_timeout: float = 5.0) -> None:
        self.context = context
        self.bus = Bus(context, name=name)
        self._connect_timeout = connect_timeout

    @classmethod
    def connect(
        cls,
        home: str | Path | None = None,
        *,
        name: str = "dibop-client",
        connect_timeout: float = 5.0,
        **overrides: Any,
    ) -> Self:
        """A client for the stack of `home` (else DIBOP_HOME, else `.dibop` here), to be entered with `async with`.

        `overrides` take the place of the context file's fields: nats_url, enterprise, nats_creds,
        nats_inbox_prefix, token_file, seal_key_file. With nats_url and enterprise no file is needed.
        Entering raises ContextError at once, and BusUnreachableError after `connect_timeout` seconds.
        """
        return cls(Context.load(home, **overrides), name=name, connect_timeout=connect_timeout)

    @property
    def enterprise(self) -> str:
        return self.context.enterprise

    async def __aenter__(self) -> Self:
        await self.bus.open(self._connect_timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.bus.close()

    async def execute(
        self,
        connector: str,
        operation: str,
        /,
        *,
        parameters: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # it goes to the executor
        deadline: float | None = None,
        connection: str | None = None,
        version: str | None = None,
        idempotency_key: str | None = None,
        request_id: str | None = None,
        **more_parameters: Any,
    ) -> Execution:
        """Execute one operation and return what the external system answered, 4xx and 5xx included.

        Parameters are given by name; `parameters` holds those whose names clash with an argument here.
        `timeout` bounds one attempt and `deadline` the whole, both in seconds. `version` is `1.2.0` or `^1`.
        Raises DibopError: see `dibop.errors` for the tree.
        """
        try:
            require_slug(connector)
            require_token(operation, "operation name")
        except DibopError as error:
            raise typed(error) from None
        twice = set(parameters or ()) & more_parameters.keys()
        if twice:
            raise TypeError(f"given twice: {', '.join(sorted(twice))}")
        request: dict[str, Any] = {"parameters": {**(parameters or {}), **more_parameters}}
        if headers:
            request["headers"] = dict(headers)
        if timeout is not None:
            request["timeout"] = timeout
        wait = DEFAULT_DEADLINE_SECONDS if deadline is None else deadline
        optional = {
            CONNECTION_HEADER: connection,
            VERSION_HEADER: version,
            IDEMPOTENCY_HEADER: idempotency_key,
            REQUEST_ID_HEADER: request_id,
        }
        sent = {name: value for name, value in optional.items() if value is not None}
        sent[DEADLINE_HEADER] = str(max(1, round(wait * 1000)))
        subject = subjects.execute(self.enterprise, connector, operation)
        reply = await self.bus.request(subject, _encode(request), timeout=wait + _GRACE_SECONDS, headers=sent)
        return await self._result(reply.data)

    async def command(  # noqa: PLR0917  # a subject has as many tokens
        self,
        plane: Plane,
        enterprise: str,
        noun: str,
        verb: str,
        body: BaseModel,
        reply: type[Reply],
        *,
        timeout: float = COMMAND_SECONDS,  # noqa: ASYNC109  # it ends in our own error
    ) -> Reply:
        """Send one command of `shared.contracts.commands` and read its answer as `reply`."""
        subject = f"{plane}.{subjects.VERSION}.{enterprise}.{noun}.{verb}"
        answered = await self.bus.command(subject, body.model_dump_json().encode(), timeout=timeout)
        try:
            return reply.model_validate_json(answered)
        except ValidationError as error:
            raise BrokenReplyError(f"The answer to {subject} is not a {reply.__name__}: {error}.") from error

    def events(self, pattern: str = ">", *, enterprises: tuple[str, ...] | None = None) -> EventStream:
        """Listen from now on: `async with client.events("connector.*.version_published") as events`.

        `pattern` is the end of the subject, `<noun>.<identifier>.<what>`, where `*` stands for any token and a
        final `>` for any rest. Heard are the caller's enterprise and the platform, or `enterprises`. Of the platform
        most callers may hear no more than what is new in the catalogue.
        """
        return EventStream(self.bus, pattern, enterprises or tuple(dict.fromkeys((self.enterprise, PLATFORM))))

    async def _result(self, raw: bytes) -> Execution:
        reply = decode_reply(raw)
        body = parts_of(reply)
        return build(raw, reply, None if body is None else await self._fetch(body))

    async def _fetch(self, body: ResponseBody) -> bytes:
        async def part(number: int) -> bytes:
            subject = subjects.response_part(self.enterprise, body.id, number)
            found = await self.bus.direct_get(subjects.RESPONSES_STREAM, subject, timeout=_PART_SECONDS)
            if found is None:
                raise BrokenReplyError(
                    f"Part {number} of response {body.id} is not there: parts are kept for ten minutes. Execute again."
                )
            return found

        return join_parts(body, await asyncio.gather(*(part(number) for number in range(body.chunks))))


class EventStream:
    """Events as they happen. Entering subscribes; what happened before is not heard."""

    def __init__(self, bus: Bus, pattern: str, enterprises: tuple[str, ...]) -> None:
        self._bus = bus
        self._pattern = pattern
        self._enterprises = enterprises
        self._subscriptions: list[Subscription] = []
        self._queue: asyncio.Queue[Event] = asyncio.Queue(maxsize=1024)
        self._readers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        for enterprise in self._enterprises:
            try:
                await self._listen(subjects.events(enterprise, self._pattern))
            except NotAllowedError:
                if enterprise != PLATFORM:
                    raise
                for pattern in narrowed(self._pattern, PUBLIC_EVENTS):
                    await self._listen(subjects.events(PLATFORM, pattern))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await end(*self._readers)
        if self._bus.connected:
            for subscription in self._subscriptions:
                await subscription.unsubscribe()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            yield await self._queue.get()

    async def next(self, timeout: float) -> Event:  # noqa: ASYNC109  # reads better at the call
        """The next event; TimeoutError where none comes within `timeout` seconds."""
        return await asyncio.wait_for(self._queue.get(), timeout)

    async def _listen(self, subject: str) -> None:
        subscription = await self._bus.subscribe(subject)
        self._subscriptions.append(subscription)
        self._readers.append(asyncio.create_task(self._read(subscription)))

    async def _read(self, subscription: Subscription) -> None:
        async for message in subscription.messages:
            try:
                event = Event.read(message.subject, message.headers, message.data)
            except ValueError:
                continue
            await self._queue.put(event)


def _encode(request: dict[str, Any]) -> bytes:
    try:
        return json.dumps(request, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(
            "invalid-parameters", f"The parameters cannot be written as JSON: {error}. Give values that JSON has."
        ) from error
