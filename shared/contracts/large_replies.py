"""Replies that came in parts: put together again, and what they say of themselves checked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from shared.contracts.execution import ResponseBody


def join_parts(body: ResponseBody, parts: Sequence[bytes]) -> bytes:
    """The whole body; ValueError where its length or SHA-256 is not what the reply says."""
    whole = b"".join(parts)
    if len(whole) != body.size or hashlib.sha256(whole).hexdigest() != body.sha256.removeprefix("sha256:"):
        raise ValueError(
            f"The {body.chunks} parts of response {body.id} do not add up to the body that the reply promised "
            f"({len(whole)} of {body.size} bytes)."
        )
    return whole
