"""Token requests: Authlib builds them and authenticates the client, the executor's own sender sends them.

So they have what every request of the executor has (egress guard, time limits, retries, permits, a circuit), in a scope
of their own. Redirects are not followed: a POST with a secret goes where the template says, or nowhere.
"""

from __future__ import annotations

import base64
import warnings
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

import httpx
from authlib.deprecate import AuthlibDeprecationWarning  # type: ignore[import-untyped]  # it has no annotations

from services.executor.attempts import Sender
from services.executor.domain.oauth import TokenClient
from services.executor.domain.plan import OperationPlan, ResiliencePlan
from services.executor.domain.timing import TOKEN_SECONDS
from services.executor.oauth.answers import Granted, UnreadableError, read_answer
from services.executor.oauth.transport import GuardedTransport
from services.executor.resilience.scopes import token_hold
from services.executor.transport.interface import HttpRequest, HttpResponse, TransportError
from shared.contracts.errors import DibopError
from shared.contracts.template import origin_of

with warnings.catch_warnings():
    # Authlib prefers httpx2 by now, and warns where it finds httpx, which works as well and is what else we use.
    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    from authlib.integrations.httpx_client import AsyncOAuth2Client  # type: ignore[import-untyped]  # as above

MAX_ANSWER_BYTES: Final = 256 * 1024
RESILIENCE: Final = ResiliencePlan(
    timeout_seconds=TOKEN_SECONDS,
    max_retries=2,
    retry_delay_seconds=0.5,
    retry_backoff="exponential",
    rate_limit_per_minute=0,
    circuit_breaker_threshold=5,
    circuit_breaker_recovery_seconds=15.0,
)
"""Of a token endpoint, for each connection. What keeps it from being asked too often is that tokens are shared."""

_METHODS: Final = {"basic": "client_secret_basic", "post": "client_secret_post"}
_NOT_SENT: Final = "The operation itself was not sent."


class TokenRequests:
    """Asks token endpoints. Whatever goes wrong is a RefusedError or a DibopError with outcome `not_sent`."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    async def client_credentials(self, client: TokenClient, *, deadline: float) -> Granted:
        """A token for the client itself; `deadline` is a time of `monotonic`."""
        return await self._ask(
            client, lambda session, **rest: session.fetch_token(grant_type="client_credentials", **rest),
            deadline=deadline, repeatable=True,
        )  # fmt: skip

    async def refresh(self, client: TokenClient, refresh_token: str, *, deadline: float) -> Granted:
        """A new token for a refresh token, which may be good for this once."""
        return await self._ask(
            client, lambda session, **rest: session.refresh_token(refresh_token=refresh_token, **rest),
            deadline=deadline, repeatable=False, secrets=(refresh_token,),
        )  # fmt: skip

    async def exchange(
        self, client: TokenClient, code: str, *, verifier: str | None, redirect_uri: str, deadline: float
    ) -> Granted:
        """Tokens for an authorization code, which is good for once; `verifier` is PKCE's."""
        return await self._ask(
            client,
            lambda session, **rest: session.fetch_token(
                grant_type="authorization_code",
                code=code,
                redirect_uri=redirect_uri,
                **rest,
                **({"code_verifier": verifier} if verifier else {}),
            ),
            deadline=deadline,
            repeatable=False,
            secrets=(code, *([verifier] if verifier else [])),
        )

    async def _ask(
        self,
        client: TokenClient,
        ask: Callable[..., Awaitable[Any]],
        *,
        deadline: float,
        repeatable: bool,
        secrets: tuple[str, ...] = (),
    ) -> Granted:
        granted: list[Granted] = []
        secrets = (*secrets, *client.secrets, *_pair(client))

        def read(response: httpx.Response) -> httpx.Response:
            kind = response.headers.get("content-type", "")
            granted.append(read_answer(response.status_code, kind, response.content, secrets=secrets))
            return httpx.Response(200, json={"access_token": granted[-1].access_token})

        transport = GuardedTransport(
            partial(self._send, client, deadline=deadline, repeatable=repeatable), client.certificate
        )
        async with AsyncOAuth2Client(
            client.client_id,
            client.client_secret or None,
            token_endpoint_auth_method=_METHODS[client.client_auth] if client.client_secret else "none",
            scope=client.scopes or None,
            transport=transport,
            trust_env=False,
        ) as session:
            for method in _CLIENT_AUTH.items():
                session.register_client_auth_method(method)
            session.register_compliance_hook("access_token_response", read)
            session.register_compliance_hook("refresh_token_response", read)
            try:
                await ask(session, url=client.token_url, body=urlencode(client.parameters))
            except UnreadableError as error:
                raise DibopError(
                    "upstream-unreachable",
                    f"The token endpoint at {origin_of(client.token_url)} {error}. {_NOT_SENT} Check token_url and the "
                    "endpoint; repeating is safe.",
                    outcome="not_sent",
                ) from None
        return granted[-1]

    async def _send(
        self, client: TokenClient, request: HttpRequest, *, deadline: float, repeatable: bool
    ) -> HttpResponse:
        operation = _REPEATABLE if repeatable else _ONCE
        try:
            sent = await self._sender.send(
                request, operation, token_hold(client.scope, RESILIENCE), limit=None, deadline=deadline
            )
        except DibopError as error:
            raise _failed(client, error) from error
        if sent.response.status == 429:
            raise DibopError(
                "rate-limited",
                f"The token endpoint at {origin_of(client.token_url)} has asked to be left alone (status 429). "
                f"{_NOT_SENT} Repeat after retry_after_ms.",
                retry_after_ms=sent.retry_after_ms,
                outcome="not_sent",
            )
        return sent.response


def _operation(*, repeatable: bool) -> OperationPlan:
    return OperationPlan(
        name="token",
        method="POST",
        literals=("",),
        path_names=(),
        parameters=(),
        body_encoding="form",
        idempotent=repeatable,
        idempotency_header=None,
        response_schema=None,
        resilience=RESILIENCE,
    )


_REPEATABLE: Final = _operation(repeatable=True)
_ONCE: Final = _operation(repeatable=False)


def _failed(client: TokenClient, error: DibopError) -> DibopError:
    """What a token request that had no answer means for the request that wanted the token."""
    code = "upstream-unreachable" if error.code in {"upstream-timeout", "response-too-large"} else error.code
    cause = error.__cause__
    detail = cause.detail if isinstance(cause, TransportError) else error.detail
    return DibopError(
        code,
        f"No access token could be got from {origin_of(client.token_url)}: {detail} {_NOT_SENT}",
        retry_after_ms=error.retry_after_ms,
        outcome="not_sent",
    )


def _pair(client: TokenClient) -> tuple[str, ...]:
    """The secret as it travels, which an endpoint may echo."""
    if not client.client_secret:
        return ()
    return (_basic_pair(client.client_id, client.client_secret), quote_plus(client.client_secret))


def _basic_pair(client_id: str, client_secret: str) -> str:
    return base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(client_secret)}".encode()).decode()


def _basic(auth: Any, _method: str, uri: str, headers: Any, body: bytes) -> tuple[str, Any, bytes]:
    """HTTP Basic with both parts form-encoded (RFC 6749, 2.3.1), which Authlib leaves out."""
    headers["Authorization"] = f"Basic {_basic_pair(auth.client_id, auth.client_secret)}"
    return uri, headers, body


def _in_form(auth: Any, _method: str, uri: str, headers: Any, body: bytes) -> tuple[str, Any, bytes]:
    """In the posted form, which Authlib's own way cannot do for a form that holds more than ASCII."""
    fields = {"client_id": auth.client_id, "client_secret": auth.client_secret}
    given = urlencode({name: value for name, value in fields.items() if value}).encode()
    return uri, headers, body + b"&" + given


_CLIENT_AUTH: Final = {_METHODS["basic"]: _basic, _METHODS["post"]: _in_form, "none": _in_form}
