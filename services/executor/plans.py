"""Plans by digest: loaded when first needed, compiled once, the least recently used leave first."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

import structlog
from nats.errors import Error as NatsError

from services.executor.domain.plan import ConnectorPlan
from shared.contracts.errors import DibopError
from shared.tasks import mark_seen

_log = structlog.get_logger(__name__)


class Documents(Protocol):
    """The object store of template documents."""

    async def get(self, digest: str) -> bytes | None: ...


class Plans:
    """At most `size` compiled templates. Requests that need one at the same time share one load."""

    def __init__(self, documents: Documents, compile_document: Callable[[bytes], ConnectorPlan], size: int) -> None:
        self._documents = documents
        self._compile = compile_document
        self._size = size
        self._plans: OrderedDict[str, ConnectorPlan] = OrderedDict()
        self._loads: dict[str, asyncio.Task[ConnectorPlan]] = {}

    def __len__(self) -> int:
        return len(self._plans)

    async def get(self, digest: str) -> ConnectorPlan:
        """The plan of a document; `internal` with what to do where the document is not there or unreadable."""
        plan = self._plans.get(digest)
        if plan is not None:
            self._plans.move_to_end(digest)
            return plan
        task = self._loads.get(digest)
        if task is None:
            task = self._loads[digest] = asyncio.create_task(self._load(digest))
            task.add_done_callback(mark_seen)
        # One caller's deadline must not end the load that others wait for.
        return await asyncio.shield(task)

    async def _load(self, digest: str) -> ConnectorPlan:
        try:
            try:
                document = await self._documents.get(digest)
            except (NatsError, TimeoutError, OSError) as error:
                _log.warning("A template could not be read", digest=digest, error=str(error) or type(error).__name__)
                raise DibopError(
                    "internal", f"The template {digest} could not be read from the object store. Repeat in a moment."
                ) from error
            if document is None:
                _log.error("A template is missing from the object store", digest=digest)
                raise DibopError(
                    "internal",
                    f"The template {digest} is not in the object store. Have the operator rebuild the projections.",
                )
            plan = self._compile(document)
        finally:
            del self._loads[digest]
        while len(self._plans) >= self._size:
            self._plans.popitem(last=False)
        self._plans[digest] = plan
        return plan
