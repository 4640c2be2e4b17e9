"""People who give connections their consent, up to the code; and who have executors exchange it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
from pydantic import BaseModel

from shared.contracts import subjects
from shared.contracts.commands import AppendAudit, AuditAppended, CodeExchanged, ExchangeCode
from shared.contracts.projections import CatalogueEntry
from shared.contracts.template import Template, check
from shared.messaging.client import request
from shared.messaging.objects import Documents
from shared.security.authorization import (
    PendingAuthorization,
    Purpose,
    begin,
    check_callback,
    read_callback,
    seal_code,
)
from shared.security.principals import Role
from tests.integration.executor.world import ENTERPRISE
from tests.integration.oauth.world import OAuthBus
from tests.support.oauth_server import CLIENT_ID
from tests.support.tokens import Tokens

REDIRECT = "http://127.0.0.1:8765/callback"


def browse(url: str) -> str:
    """What a browser comes back with: the query of the redirect. The person says yes at once."""
    answer = httpx.get(url)
    assert answer.status_code == 302, answer.text
    location = answer.headers["location"]
    assert location.startswith(REDIRECT), location
    return urlsplit(location).query


def parameters(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


@dataclass
class Person:
    """Someone with a role in an enterprise, at a browser."""

    bus: OAuthBus
    token: str
    subject: str

    async def template(self, slug: str) -> Template:
        kv = await self.bus.js.key_value(subjects.CATALOGUE_BUCKET)
        found = await kv.get(subjects.catalogue_key("platform", slug))
        entry = msgspec.json.decode(found.value or b"", type=CatalogueEntry)
        document = await Documents(self.bus.js).get(entry.versions[0].digest)
        template = check(msgspec.json.decode(document or b"")).template
        assert template is not None
        return template

    async def begins(self, slug: str) -> tuple[str, PendingAuthorization]:
        entry = await self.bus.entry(slug)
        purpose = Purpose(self.subject, ENTERPRISE, entry.owner, slug, entry.id)
        return begin(await self.template(slug), {"client_id": CLIENT_ID}, purpose, REDIRECT, now=time.time())

    async def consents(
        self, slug: str, *, bend: Callable[[PendingAuthorization], PendingAuthorization] = lambda pending: pending
    ) -> ExchangeCode:
        """The command that has the code exchanged; `bend` spoils what was kept meanwhile."""
        url, pending = await self.begins(slug)
        code = check_callback(
            pending, read_callback(browse(url)), purpose=pending.purpose, redirect_uri=REDIRECT, now=time.time()
        )
        entry, pending, key = await self.bus.entry(slug), bend(pending), self.bus.ring.sealing_key
        return ExchangeCode(
            connector=slug,
            id=entry.id,
            redirect_uri=pending.redirect_uri,
            kid=key.kid,
            sealed=seal_code(pending, code, key, entry.origin),
        )

    async def sends(self, command: ExchangeCode) -> CodeExchanged:
        return CodeExchanged.model_validate_json(await self.asks("exchange", command))

    async def authorizes(self, slug: str) -> CodeExchanged:
        return await self.sends(await self.consents(slug))

    async def asks(self, verb: str, body: BaseModel | Mapping[str, Any]) -> bytes:
        subject = subjects.executor(ENTERPRISE, "oauth", verb)
        return await request(self.bus.nc, subject, body, timeout=60, token=self.token, request_id="r-5")


@dataclass
class People:
    bus: OAuthBus
    tokens: Tokens

    def who(self, subject: str, role: Role = Role.ENTERPRISE_ADMIN, *, home: str = ENTERPRISE) -> Person:
        return Person(self.bus, self.tokens.issue(subject, home, role), subject)


@dataclass
class AuditLog:
    """The registry's audit log, as far as executors write it."""

    entries: list[AppendAudit]

    @classmethod
    async def listen(cls, bus: OAuthBus) -> AuditLog:
        log = cls([])

        async def take(message: Any) -> None:
            log.entries.append(AppendAudit.model_validate_json(message.data))
            await message.respond(AuditAppended(appended=True).model_dump_json().encode())

        await bus.nc.subscribe(subjects.registry(ENTERPRISE, "audit", "append"), cb=take)
        await bus.nc.flush()
        return log
