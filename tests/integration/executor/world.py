"""What the registry and callers do on the bus, and an upstream that answers as it is told."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from shared.contracts import subjects
from shared.contracts.clock import utc_now
from shared.contracts.errors import ERROR_CODE_HEADER, DibopError
from shared.contracts.execution import SealedCredentials
from shared.contracts.projections import CatalogueEntry, CatalogueVersion, ConnectionEntry
from shared.contracts.template import canonical_json, check, origin_of
from shared.messaging.connection import BusClient
from shared.messaging.objects import Documents
from shared.security.sealing import KeyRing, SealContext
from tests.support.fault_server import Call, behaviour

ENTERPRISE = "acme"
UNLIMITED = {"rate_limit_per_minute": 0, "circuit_breaker_threshold": 0, "max_retries": 0}
"""For tests that are about something else."""


@behaviour("reply")
async def reply(call: Call) -> bool:
    """`/reply?type=…&body=…&status=…`: a body (latin-1) of any type; no type where none is given."""
    query = call.arrival.query
    headers = (("Content-Type", query["type"]),) if "type" in query else ()
    return await call.answer(int(call.number("status", 200)), query.get("body", "").encode("latin-1"), headers)


def get(name: str, path: str | None = None, *parameters: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A GET operation, at `/<name>` unless told otherwise."""
    return {
        "operation": name,
        "method": "GET",
        "path": path or f"/{name}",
        "parameters": list(parameters),
        **changes,
    }


def query(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "location": "query", **changes}


@dataclass
class Bus:
    """Writes projections as registry and publisher do, and sends requests as any NATS client does."""

    nc: BusClient
    js: JetStreamContext
    base_url: str
    ring: KeyRing = field(default_factory=KeyRing.generate)
    generations: int = 0

    async def store(self, slug: str, *operations: dict[str, Any], **changes: Any) -> str:
        """Put a valid document into the object store; the answer is its digest."""
        document = {
            "name": slug, "slug": slug, "base_url": self.base_url, "auth_type": "none",
            "operations": list(operations), "resilience": UNLIMITED, **changes,
        }  # fmt: skip
        errors = check(document).errors
        assert not errors, errors
        return await Documents(self.js).put(canonical_json(document))

    async def publish(
        self,
        slug: str,
        *operations: dict[str, Any],
        owner: str = "platform",
        versions: Mapping[str, str] | None = None,
        **changes: Any,
    ) -> str:
        """Store a document and enter it as version 1.0.0, or as each of `versions` (version to state)."""
        digest = await self.store(slug, *operations, **changes)
        entered = [
            CatalogueVersion(version, digest, state, utc_now())  # type: ignore[arg-type]  # a table's text
            for version, state in (versions or {"1.0.0": "published"}).items()
        ]
        await self.enter(slug, entered, owner=owner)
        return digest

    async def enter(self, slug: str, versions: list[CatalogueVersion], *, owner: str = "platform") -> None:
        self.generations += 1
        entry = CatalogueEntry(slug, owner, self.generations, versions)
        kv = await self.js.key_value(subjects.CATALOGUE_BUCKET)
        await kv.put(subjects.catalogue_key(owner, slug), msgspec.json.encode(entry))

    async def connect(
        self,
        slug: str,
        secrets: Mapping[str, str] | None = None,
        values: Mapping[str, str] | None = None,
        *,
        name: str = "default",
        owner: str = "platform",
        origin: str | None = None,
        policy: str = "^1",
    ) -> str:
        """The new connection's id."""
        self.generations += 1
        identifier, origin = str(uuid.uuid4()), origin or origin_of(self.base_url)
        context = SealContext("connection", ENTERPRISE, owner, slug, identifier, origin)
        sealed = self.ring.sealing_key.seal_all(secrets or {}, context)
        entry = ConnectionEntry(
            identifier, ENTERPRISE, slug, owner, name, self.generations, policy, origin, self.ring.active,
            dict(values or {}), sealed,
        )  # fmt: skip
        kv = await self.js.key_value(subjects.CONNECTIONS_BUCKET)
        await kv.put(subjects.connection_key(ENTERPRISE, slug, name), msgspec.json.encode(entry))
        return identifier

    async def disconnect(self, slug: str, name: str = "default") -> None:
        kv = await self.js.key_value(subjects.CONNECTIONS_BUCKET)
        await kv.delete(subjects.connection_key(ENTERPRISE, slug, name))

    def test_credentials(self, slug: str, secrets: Mapping[str, str], *, owner: str = ENTERPRISE) -> SealedCredentials:
        session, origin = str(uuid.uuid4()), origin_of(self.base_url)
        context = SealContext("test", ENTERPRISE, owner, slug, session, origin)
        return SealedCredentials(
            session, origin, self.ring.active, {}, self.ring.sealing_key.seal_all(secrets, context)
        )

    async def raw(
        self, subject: str, body: bytes = b"", headers: Mapping[str, str] | None = None, *, seconds: float = 20
    ) -> Msg:
        """One request; the one reply."""
        return await self.nc.request(subject, body, timeout=seconds, headers=dict(headers) if headers else None)

    async def execute(
        self,
        slug: str,
        operation: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        enterprise: str = ENTERPRISE,
        **request: Any,
    ) -> dict[str, Any]:
        """The result; a DibopError where the reply is one."""
        body = msgspec.json.encode({"parameters": parameters or {}, **request})
        return read(await self.raw(subjects.execute(enterprise, slug, operation), body, headers))

    async def refused(self, *arguments: Any, **options: Any) -> DibopError:
        with pytest.raises(DibopError) as caught:
            await self.execute(*arguments, **options)
        return caught.value


def read(message: Msg) -> dict[str, Any]:
    """The result in a reply, or the DibopError that it is."""
    body: dict[str, Any] = msgspec.json.decode(message.data)
    if message.headers and ERROR_CODE_HEADER in message.headers:
        error = DibopError.from_problem(body)
        assert message.headers[ERROR_CODE_HEADER] == str(error.status) == str(body["status"])
        raise error
    return body
