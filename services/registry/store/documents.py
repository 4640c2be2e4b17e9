"""Documents as text: JSON in the order in which the author wrote it."""

from __future__ import annotations

import msgspec

from services.registry.handlers.ports import Document


def encode(document: Document) -> str:
    return msgspec.json.encode(document).decode()


def decode(text: str) -> Document:
    return msgspec.json.decode(text, type=Document)
