"""The client's way over NATS: one connection, requests that end in an answer or in an error that says why."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import msgspec
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError, NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError

from dibop.context import Context
from dibop.errors import (
    BrokenReplyError,
    BusUnreachableError,
    InvalidRequestError,
    NoServiceError,
    NotAllowedError,
    ReplyTimeoutError,
    from_problem,
)
from shared.contracts.errors import ERROR_CODE_HEADER
from shared.contracts.execution import AUTHORIZATION_HEADER, REQUEST_ID_HEADER
from shared.contracts.unreadable import UNREADABLE
from shared.messaging.natspy import MendedClient, TlsFilesError, tls_options

_RECONNECT_WAIT_SECONDS: Final = 0.25
_REFUSED: Final = "permissions violation"
_KEPT_REFUSALS: Final = 20


class Bus:
    """A connection as `context` describes it; reconnects for ever once it stands."""

    def __init__(self, context: Context, *, name: str) -> None:
        self.context = context
        self._name = name
        self._nats = MendedClient()
        self._last_error = ""
        self._given_up = False
        self._refusals: list[str] = []
        self._asking: dict[str, set[asyncio.Timeout]] = {}

    @property
    def connected(self) -> bool:
        return self._nats.is_connected

    async def open(self, timeout: float) -> None:  # noqa: ASYNC109  # it ends in our own error, not in asyncio's
        """Connect within `timeout` seconds, or raise BusUnreachableError with the last reason."""
        context = self.context
        try:
            tls = tls_options(context.nats_url, context.nats_tls_ca, context.nats_tls_cert, context.nats_tls_key)
        except TlsFilesError as error:
            raise BusUnreachableError(f"{error} They are named in the context file.") from error
        attempt = self._nats.connect(
            servers=[url.strip() for url in context.nats_url.split(",")],
            name=self._name,
            error_cb=self._on_error,
            max_reconnect_attempts=-1,
            reconnect_time_wait=_RECONNECT_WAIT_SECONDS,  # type: ignore[arg-type]  # seconds, fractions work
            inbox_prefix=context.nats_inbox_prefix,
            user_credentials=None if context.nats_creds is None else str(context.nats_creds),
            **tls,
        )
        giving_up = asyncio.get_running_loop().call_later(timeout, self._give_up)
        try:
            await asyncio.wait_for(attempt, timeout)
            giving_up.cancel()
            self._given_up = False
        except (TimeoutError, NatsError, OSError, ValueError) as error:
            await self.close()
            reason = self._last_error or str(error) or "no answer"
            raise BusUnreachableError(f"No NATS server answers at {self.context.nats_url}: {reason}.") from None

    async def close(self) -> None:
        self._given_up = True
        await self._nats.close()

    async def request(
        self,
        subject: str,
        body: bytes,
        *,
        timeout: float,  # noqa: ASYNC109  # it ends in our own error, not in asyncio's
        headers: Mapping[str, str] | None = None,
    ) -> Msg:
        """Send and wait; an answer that is an error is raised as its class of `dibop.errors`."""
        sent = {REQUEST_ID_HEADER: str(uuid.uuid4()), **(headers or {})}
        request_id = sent[REQUEST_ID_HEADER]
        try:
            async with self._unless_refused(subject):
                reply = await self._nats.request(subject, body, timeout=timeout, headers=sent)
        except NoRespondersError:
            raise NoServiceError(_nobody_serves(subject), request_id=request_id) from None
        except (NatsTimeoutError, TimeoutError):
            raise self._no_answer(subject, timeout, request_id) from None
        except MaxPayloadError:
            raise InvalidRequestError(
                "invalid-request",
                f"The request has {len(body)} bytes, more than NATS takes. Send less.",
                request_id=request_id,
            ) from None
        except NatsError as error:
            raise BusUnreachableError(
                f"The request to {subject} could not be sent: {error}.", request_id=request_id
            ) from error
        if reply.headers and ERROR_CODE_HEADER in reply.headers:
            raise from_problem(_problem(reply, request_id))
        return reply

    async def command(self, subject: str, body: bytes, *, timeout: float) -> bytes:  # noqa: ASYNC109  # as above
        """A request in the caller's name: with the token of the context."""
        token = self.context.token()
        headers = {AUTHORIZATION_HEADER: f"Bearer {token}"} if token else {}
        return (await self.request(subject, body, timeout=timeout, headers=headers)).data

    async def direct_get(self, stream: str, subject: str, *, timeout: float) -> bytes | None:  # noqa: ASYNC109
        """The last message of a subject, straight from the stream; None where it has none (any more)."""
        reply = await self.request(f"$JS.API.DIRECT.GET.{stream}.{subject}", b"", timeout=timeout)
        return None if (reply.headers or {}).get("Status") else reply.data

    async def subscribe(self, subject: str) -> Subscription:
        """Subscribe, and return once the server has it; NotAllowedError where it refuses this user the subject."""
        subscription = await self._nats.subscribe(subject)
        await self._nats.flush()
        if self._refuses(subject):
            await subscription.unsubscribe()
            raise NotAllowedError(
                "forbidden", f"NATS refuses this user to listen to {subject}. Ask an operator for the permission."
            )
        return subscription

    async def ping_services(self, name: str, *, window: float) -> list[dict[str, Any]]:
        """Everybody who answers `$SRV.PING.<name>` within `window` seconds, as they describe themselves."""
        inbox = self._nats.new_inbox()
        subscription = await self._nats.subscribe(inbox)
        await self._nats.publish(f"$SRV.PING.{name}", b"", reply=inbox)
        answers: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        end = loop.time() + window
        while (left := end - loop.time()) > 0:
            try:
                message = await subscription.next_msg(timeout=left)
            except (NatsTimeoutError, TimeoutError):
                break
            if (message.headers or {}).get("Status"):
                break
            answers.append(msgspec.json.decode(message.data))
        await subscription.unsubscribe()
        return answers

    def jetstream(self) -> Any:
        """The JetStream context of this connection, for bootstrap and checks."""
        return self._nats.jetstream()

    async def round_trip(self) -> float:
        """Seconds to the server and back."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        await self._nats.flush()
        return loop.time() - start

    def _give_up(self) -> None:
        self._given_up = True

    async def _on_error(self, error: Exception) -> None:
        """Called for every error, each failed attempt to connect among them.

        nats-py tries to connect for ever, and `asyncio.wait_for` of Python 3.11 may lose the cancellation of an
        attempt that fails at that very moment: the attempt after it would never end.
        """
        if self._given_up:
            raise asyncio.CancelledError
        self._last_error = (str(error) or type(error).__name__).removeprefix("nats: ")
        if _REFUSED in self._last_error.lower():
            self._refusals.append(self._last_error.lower())
            del self._refusals[:-_KEPT_REFUSALS]
            for subject in [subject for subject in self._asking if self._refuses(subject)]:
                for waiting in self._asking.pop(subject):
                    waiting.reschedule(0)

    @contextlib.asynccontextmanager
    async def _unless_refused(self, subject: str) -> AsyncIterator[None]:
        """Wait in the block for an answer, and end it with TimeoutError as soon as the server refuses the subject."""
        async with asyncio.timeout(None) as waiting:
            self._asking.setdefault(subject, set()).add(waiting)
            try:
                yield
            finally:
                others = self._asking.get(subject, set())
                others.discard(waiting)
                if not others:
                    self._asking.pop(subject, None)

    def _refuses(self, subject: str) -> bool:
        """nats-py tells what was refused in lower case."""
        return any(f'"{subject.lower()}"' in refusal for refusal in self._refusals)

    def _no_answer(self, subject: str, timeout: float, request_id: str) -> NotAllowedError | ReplyTimeoutError:
        if self._refuses(subject):
            return NotAllowedError(
                "forbidden",
                f"NATS refuses this user the subject {subject}. Ask an operator for the permission.",
                request_id=request_id,
            )
        return ReplyTimeoutError(f"{subject} was not answered within {timeout:g} s.", request_id=request_id)


def _nobody_serves(subject: str) -> str:
    plane = subject.partition(".")[0]
    served_by = {"exec": "executor", "draft": "executor"}
    if plane in {*served_by, "executor", "registry", "publisher"}:
        return f"No {served_by.get(plane, plane)} is running: nobody listens to {subject}."
    return f"Nobody listens to {subject}."


def _problem(reply: Msg, request_id: str) -> dict[str, Any]:
    try:
        problem = msgspec.json.decode(reply.data, type=dict[str, Any])
    except UNREADABLE:
        described = (reply.headers or {}).get("Nats-Service-Error", "no description")
        raise BrokenReplyError(
            f"The service answered with an error ({described}) and no problem document.", request_id=request_id
        ) from None
    problem.setdefault("request_id", request_id)
    return problem
