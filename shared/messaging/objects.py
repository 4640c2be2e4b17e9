"""Template documents in the object store `templates`, each under its digest."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Final, Literal, TypeAlias

from nats.js import JetStreamContext
from nats.js.errors import BadObjectMetaError, DigestMismatchError, NotFoundError
from nats.js.object_store import ObjectStore

from shared.contracts.subjects import TEMPLATES_BUCKET

_TRANSFER_SECONDS: Final = 30.0
_PARTS_SECONDS: Final = 2.0
"""How long a document's parts may take that is only looked at; parts that are gone never come."""

DocumentState: TypeAlias = Literal["there", "missing", "damaged"]


class DamagedDocumentError(Exception):
    """What the store holds under a digest has another digest."""


class Documents:
    """Documents by digest (`sha256:<hex>` of their bytes): written once, verified when read."""

    def __init__(self, js: JetStreamContext, bucket: str = TEMPLATES_BUCKET) -> None:
        self._js = js
        self._bucket = bucket
        self._store: ObjectStore | None = None

    async def put(self, document: bytes) -> str:
        """Store a document unless it is there; the answer is its digest."""
        digest = digest_of(document)
        store = await self._opened()
        async with asyncio.timeout(_TRANSFER_SECONDS):
            if not await self._holds(store, digest, len(document)):
                await store.put(digest, document)
        return digest

    async def restore(self, document: bytes) -> str:
        """Store a document, whatever stands under its digest now; the answer is its digest."""
        digest = digest_of(document)
        store = await self._opened()
        async with asyncio.timeout(_TRANSFER_SECONDS):
            await store.put(digest, document)
        return digest

    async def get(self, digest: str) -> bytes | None:
        """The document, or None where there is none; DamagedDocumentError where it is not what was stored."""
        store = await self._opened()
        try:
            async with asyncio.timeout(_TRANSFER_SECONDS):
                document = (await store.get(digest)).data or b""
        except NotFoundError:
            return None
        if digest_of(document) != digest:
            raise DamagedDocumentError(
                f"The object store {self._bucket!r} holds something else under {digest}. "
                "Rebuild the projections from the registry."
            )
        return document

    async def state(self, digest: str) -> DocumentState:
        """Whether the document is there, whole: one whose parts are gone is damaged."""
        store = await self._opened()
        try:
            async with asyncio.timeout(_TRANSFER_SECONDS):
                await store.get_info(digest)
        except NotFoundError:
            return "missing"
        try:
            async with asyncio.timeout(_PARTS_SECONDS):
                whole = digest_of((await store.get(digest)).data or b"") == digest
        except (TimeoutError, DigestMismatchError, BadObjectMetaError):
            whole = False
        return "there" if whole else "damaged"

    async def _opened(self) -> ObjectStore:
        if self._store is None:
            self._store = await self._js.object_store(self._bucket)
        return self._store

    async def _holds(self, store: ObjectStore, digest: str, size: int) -> bool:
        try:
            return (await store.get_info(digest)).size == size
        except NotFoundError:
            return False


def digest_of(document: bytes) -> str:
    return f"sha256:{hashlib.sha256(document).hexdigest()}"
