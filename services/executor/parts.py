"""Large bodies: parts in the stream RESPONSES, which the caller fetches one by one."""

from __future__ import annotations

import asyncio
import hashlib
import uuid

from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from services.executor.domain.response import Decoded
from shared.contracts.errors import DibopError
from shared.contracts.execution import RESPONSE_PART_BYTES, ResponseBody
from shared.contracts.subjects import response_part


class ResponseParts:
    """Writes bodies into the stream, each under an id of its own that nobody can guess."""

    def __init__(self, js: JetStreamContext, part_bytes: int = RESPONSE_PART_BYTES) -> None:
        self._js = js
        self._part_bytes = part_bytes

    async def store(self, enterprise: str, body: Decoded) -> ResponseBody:
        """Return once the stream has every part. Raises `internal` where it does not take them."""
        raw, size = body.raw, self._part_bytes
        identifier = uuid.uuid4().hex
        parts = [raw[start : start + size] for start in range(0, len(raw), size)]
        try:
            async with asyncio.TaskGroup() as group:
                for number, part in enumerate(parts):
                    group.create_task(self._js.publish(response_part(enterprise, identifier, number), part))
        except* (NatsError, TimeoutError, OSError) as errors:
            raise DibopError(
                "internal",
                f"The response of {len(raw):,} bytes came, and could not be kept for fetching: the stream RESPONSES "
                "did not take it. The operation has happened. Have the operator check the stream's size and health.",
                outcome="unknown",
            ) from errors.exceptions[0]
        return ResponseBody(identifier, len(raw), hashlib.sha256(raw).hexdigest(), len(parts), body.encoding)
