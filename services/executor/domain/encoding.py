"""Parameter values as text: what stands in a path segment, a query string, a header or a form."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import quote

import msgspec

_UNRESERVED: Final = re.compile(r"[A-Za-z0-9._~-]*\Z")


def encode_component(text: str) -> str:
    """Percent-encode everything but the unreserved characters of RFC 3986, so that no part can become two."""
    return text if _UNRESERVED.match(text) else quote(text, safe="")


def scalar_text(value: Any) -> str:
    """Text of a checked value: booleans as true and false, whole numbers without a fraction, objects as JSON."""
    if isinstance(value, str):
        return value
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, dict | list):
        return json_bytes(value).decode()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def texts(value: Any) -> list[str]:
    """The texts of an array's items, or of the one value."""
    return [scalar_text(item) for item in value] if isinstance(value, list) else [scalar_text(value)]


def json_bytes(value: Any) -> bytes:
    return msgspec.json.encode(value)
