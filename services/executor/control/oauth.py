"""`oauth.exchange` and `oauth.exchange-test`: an authorization code becomes the tokens of a connection, or a test."""

from __future__ import annotations

import uuid

from services.executor.control.ports import Caller, Controls
from services.executor.domain.oauth import TokenClient
from services.executor.domain.request import Target
from services.executor.domain.resolution import Ask
from services.executor.oauth.exchange import Authorized
from shared.contracts.clock import utc_now
from shared.contracts.commands import (
    AppendAudit,
    CodeExchanged,
    ExchangeCode,
    ExchangeTestCode,
    TestCodeExchanged,
)
from shared.contracts.errors import DibopError
from shared.contracts.execution import SealedCredentials
from shared.security.principals import Action, authorise


async def exchange(caller: Caller, command: ExchangeCode, controls: Controls) -> CodeExchanged:
    """Exchange a code for a connection's tokens, and leave an audit entry of who authorized it."""
    authorise(caller.principal, Action.MANAGE_CONNECTIONS, caller.enterprise)
    ask = Ask(caller.enterprise, command.connector, "", connection=command.connection)
    target = await controls.resolver.connected(ask)
    client = _client(command.connector, target)
    if client.scope.connection != command.id:
        raise DibopError(
            "conflict",
            f"The connection {command.connection!r} of {command.connector!r} is {client.scope.connection} by now, and "
            f"the code is for {command.id}. Authorize again.",
        )
    authorized = await _exchange(target, client, command, controls)
    return CodeExchanged(
        generation=authorized.generation,
        scopes=authorized.scopes,
        refreshable=authorized.refreshable,
        expires_at=authorized.expires_at,
        audit=await controls.audit.write(caller.enterprise, _entry(caller, client, authorized)),
    )


async def exchange_test(caller: Caller, command: ExchangeTestCode, controls: Controls) -> TestCodeExchanged:
    """Exchange a code for the tokens of a test session: they go back sealed, to be sent with the test."""
    authorise(caller.principal, Action.TEST_DRAFT, caller.enterprise)
    given = SealedCredentials(**command.credentials.model_dump())
    staged = await controls.registry.stage_draft(
        caller.enterprise, command.connector, token=caller.token, request_id=caller.request_id
    )
    target = await controls.resolver.drafted(caller.enterprise, command.connector, staged.digest, given)
    client = _client(command.connector, target)
    authorized = await _exchange(target, client, command, controls)
    resealed = controls.exchanger.with_tokens(client, given, authorized.tokens)
    return TestCodeExchanged(
        credentials=command.credentials.model_copy(update={"kid": resealed.kid, "sealed": resealed.sealed}),
        scopes=authorized.scopes,
        refreshable=authorized.refreshable,
        expires_at=authorized.expires_at,
    )


def _client(connector: str, target: Target) -> TokenClient:
    if target.tokens is None or target.tokens.grant != "authorization_code":
        raise DibopError(
            "invalid-request",
            f"The connector {connector!r} has no grant_type authorization_code, so there is nothing to authorize: its "
            "credentials are enough.",
        )
    return target.tokens


async def _exchange(
    target: Target, client: TokenClient, command: ExchangeCode | ExchangeTestCode, controls: Controls
) -> Authorized:
    return await controls.exchanger.exchange(
        client,
        command.sealed,
        command.kid,
        redirect_uri=command.redirect_uri,
        pkce=target.auth.oauth is None or target.auth.oauth.pkce,
    )


def _entry(caller: Caller, client: TokenClient, authorized: Authorized) -> AppendAudit:
    scope = client.scope
    return AppendAudit(
        id=str(uuid.uuid4()),
        at=utc_now(),
        actor=caller.principal.subject,
        action="connection.authorize",
        noun="connection",
        identifier=f"{scope.connector}.{scope.name}",
        details={
            "id": scope.connection,
            "connector": scope.connector,
            "owner": scope.owner,
            "name": scope.name,
            "scopes": authorized.scopes,
            "refreshable": authorized.refreshable,
            "expires_at": authorized.expires_at,
        },
        request_id=caller.request_id,
    )
