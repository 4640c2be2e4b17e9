"""Connectors and connections with oauth2, and the registry's part in refresh tokens."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from nats.aio.msg import Msg
from nats.js.errors import KeyNotFoundError

from shared.contracts import subjects
from shared.contracts.commands import StoreToken, TokenStored
from shared.contracts.errors import DibopError
from shared.contracts.execution import DraftExecutionRequest
from shared.contracts.projections import ConnectionEntry, ConnectionHealth, StoredToken
from shared.messaging.replies import problem_bytes
from shared.security.sealing import SealContext
from tests.integration.executor.world import ENTERPRISE, Bus, get, read
from tests.support.oauth_server import CLIENT_ID, CLIENT_SECRET
from tests.support.polling import eventually

OPERATIONS = (
    get("me", "/api/me"),
    get("forbidding", "/api/forbidding"),
    get("always_401", "/api/always-401"),
    get("echo", "/api/echo"),
    {"operation": "create", "method": "POST", "path": "/api/me", "parameters": []},
)


@dataclass
class OAuthBus(Bus):
    """What registry, publisher and callers do. `base_url` is the OAuth2 server's, with the API behind it."""

    async def connector(self, *, connect: bool = True, **changes: Any) -> str:
        """Publish a connector with an API that wants a token, and connect to it; the answer is its slug."""
        slug = f"o{uuid.uuid4().hex[:12]}"
        await self.publish(slug, *OPERATIONS, **self.auth(changes))
        if connect:
            await self.connect(slug)
        return slug

    async def connect(
        self,
        slug: str,
        secrets: Mapping[str, str] | None = None,
        values: Mapping[str, str] | None = None,
        **options: Any,
    ) -> str:
        """With the client's own credentials, unless others are given; the answer is the connection's id."""
        secrets = {"client_secret": CLIENT_SECRET} if secrets is None else secrets
        return await super().connect(slug, secrets, {"client_id": CLIENT_ID, **(values or {})}, **options)

    async def entry(self, slug: str) -> ConnectionEntry:
        kv = await self.js.key_value(subjects.CONNECTIONS_BUCKET)
        found = await kv.get(subjects.connection_key(ENTERPRISE, slug, "default"))
        return msgspec.json.decode(found.value or b"", type=ConnectionEntry)

    async def write(self, entry: ConnectionEntry) -> None:
        kv = await self.js.key_value(subjects.CONNECTIONS_BUCKET)
        await kv.put(subjects.connection_key(ENTERPRISE, entry.connector, entry.name), msgspec.json.encode(entry))

    async def rotate(self, slug: str, secrets: Mapping[str, str]) -> None:
        """Other credentials for the same connection."""
        old = await self.entry(slug)
        context = SealContext("connection", ENTERPRISE, old.owner, slug, old.id, old.origin)
        changed = {
            "sealed": self.ring.sealing_key.seal_all(secrets, context),
            "credentials": old.credentials + 1,
            "generation": old.generation + 1,
            "token": None,
        }
        await self.write(msgspec.structs.replace(old, **changed))

    async def authorize(self, slug: str, refresh_token: str) -> None:
        """What a person's authorization leaves in the connection's entry."""
        old = await self.entry(slug)
        generation = (old.token.generation if old.token is not None else 0) + 1
        sealed = self.ring.sealing_key.seal(refresh_token, self.token_context(old).for_field("refresh_token"))
        token = StoredToken(generation, self.ring.active, sealed)
        await self.write(msgspec.structs.replace(old, token=token, generation=old.generation + 1))

    def token_context(self, entry: ConnectionEntry) -> SealContext:
        return SealContext("token", ENTERPRISE, entry.owner, entry.connector, entry.id, entry.origin)

    async def refresh_token(self, slug: str) -> tuple[int, str]:
        """The refresh token that is stored, opened, after its generation."""
        entry = await self.entry(slug)
        assert entry.token is not None
        context = self.token_context(entry).for_field("refresh_token")
        return entry.token.generation, self.ring.open(entry.token.sealed, context, entry.token.kid)

    async def has_health(self, identifier: str, state: str) -> None:
        """Return once the connection has this health."""
        kv = await self.js.key_value(subjects.HEALTH_BUCKET)

        async def has_it() -> bool:
            try:
                found = await kv.get(subjects.health_key(ENTERPRISE, identifier))
            except KeyNotFoundError:
                return False
            return msgspec.json.decode(found.value or b"", type=ConnectionHealth).state == state

        await eventually(has_it, what=f"health is {state}")

    async def listen_to_health(self, identifier: str) -> list[tuple[str, str]]:
        """From which state to which it changes; the list grows as events come."""
        told: list[tuple[str, str]] = []

        async def heard(message: Msg) -> None:
            event = json.loads(message.data)
            told.append((event["from"], event["to"]))

        await self.js.subscribe(subjects.event(ENTERPRISE, "connection", identifier, "health_changed"), cb=heard)
        return told

    async def me(self, slug: str, **options: Any) -> dict[str, Any]:
        """Whom the API takes the caller for."""
        answer = await self.execute(slug, "me", **options)
        assert answer["status_code"] == 200, answer
        response: dict[str, Any] = answer["response"]
        return response

    async def stats(self) -> dict[str, int]:
        """What the one worker has counted about tokens."""
        said = json.loads((await self.nc.request("$SRV.STATS.dibop-executor", b"", timeout=5)).data)
        counted: dict[str, int] = said["endpoints"][0]["data"]["oauth"]
        return counted

    async def refused_soon(self, slug: str) -> DibopError:
        """The error that requests end in by and by."""

        async def refusal() -> DibopError | None:
            try:
                await self.execute(slug, "me")
            except DibopError as error:
                return error
            return None

        found = await eventually(refusal)
        assert found is not None
        return found

    async def raw_me(self, slug: str) -> Msg:
        """The same, whatever comes."""
        return await self.raw(subjects.execute(ENTERPRISE, slug, "me"), b"", seconds=120)

    async def works(self, slug: str) -> bool:
        try:
            return bool((await self.execute(slug, "me"))["status_code"] == 200)
        except DibopError:
            return False

    async def test_draft(
        self,
        operation: str,
        secrets: Mapping[str, str],
        *,
        times: int = 1,
        between: Callable[[], None] = lambda: None,
        **changes: Any,
    ) -> dict[str, Any]:
        """Run an operation of a draft with credentials that are sealed for this test; the last answer."""
        slug = f"o{uuid.uuid4().hex[:12]}"
        digest = await self.store(slug, *OPERATIONS, **self.auth(changes))
        credentials = msgspec.structs.replace(self.test_credentials(slug, secrets), values={"client_id": CLIENT_ID})
        request = DraftExecutionRequest(owner=ENTERPRISE, digest=digest, credentials=credentials)
        subject, body = subjects.draft_execute(ENTERPRISE, slug, operation), msgspec.json.encode(request)
        answer: dict[str, Any] = {}
        for _ in range(times):
            between()
            answer = read(await self.raw(subject, body))
        return answer

    def auth(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """A document's fields for oauth2 at the server, with `changes`."""
        auth: dict[str, Any] = {
            "auth_type": "oauth2",
            "grant_type": "client_credentials",
            "token_url": None if "credential_schema" in changes else f"{self.base_url}/token",
            **changes,
        }
        if auth["grant_type"] == "authorization_code":
            auth["authorization_url"] = f"{self.base_url}/authorize"
        return {name: value for name, value in auth.items() if value is not None}


@dataclass
class Registry:
    """The registry's `connection.store-token`: compare-and-set on the generation. `before` runs before each answer."""

    bus: OAuthBus
    stored: list[StoreToken] = field(default_factory=list)
    before: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    silent: bool = False

    async def start(self) -> None:
        await self.bus.nc.subscribe(subjects.registry(ENTERPRISE, "connection", "store-token"), cb=self._answer)
        await self.bus.nc.flush()

    async def _answer(self, message: Msg) -> None:
        command = StoreToken.model_validate_json(message.data)
        for step in self.before:
            await step()
        self.before.clear()
        if self.silent:
            return
        entry = await self.bus.entry(command.connector)
        present = entry.token.generation if entry.token is not None else 0
        if present != command.expected or entry.id != command.id:
            error = DibopError("conflict", f"The token is of generation {present}.")
            body, headers = problem_bytes(error, "request")
            await self.bus.nc.publish(message.reply, body, headers=headers)
            return
        self.stored.append(command)
        token = StoredToken(present + 1, command.kid, command.sealed)
        await self.bus.write(msgspec.structs.replace(entry, token=token, generation=entry.generation + 1))
        await message.respond(TokenStored(generation=present + 1).model_dump_json().encode())
