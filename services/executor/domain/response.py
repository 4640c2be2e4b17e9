"""What the external system answered, as it stands in a reply: decoded only as far as nothing is invented."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from services.executor.domain.echoes import NOTHING_HIDDEN, Hidden, in_bytes, in_headers, in_json
from services.executor.domain.schemas import SchemaCache, TooMuchToCheck
from services.executor.transport.interface import HttpResponse
from shared.contracts.execution import InnerEncoding, SchemaError
from shared.contracts.unreadable import UNREADABLE

HIDDEN_HEADERS: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-connection",
        "set-cookie",
        "set-cookie2",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that belong to one connection (RFC 9110, 7.6.1), and cookies, which are credentials of a session."""

_NULL: Final = b"null"
_BOMS: Final = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_TEXT_TYPES: Final = frozenset(
    {
        "application/ecmascript",
        "application/javascript",
        "application/graphql",
        "application/sql",
        "application/toml",
        "application/x-javascript",
        "application/x-ndjson",
        "application/x-www-form-urlencoded",
        "application/x-yaml",
        "application/xml",
        "application/yaml",
        "image/svg+xml",
    }
)
_TEXT_SUFFIXES: Final = ("+xml", "+yaml", "+text")
# Python calls these text encodings too; no server means them.
_NOT_CHARSETS: Final = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "utf_7"})
_UNCHECKED: Final = SchemaError("", "The response was not checked: it is too large for a schema as heavy as this one.")
_decode: Final = msgspec.json.Decoder().decode


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """A response's body. `value` is JSON text of it for the reply, `raw` what the parts of a large one hold.

    Of `json` and `text` the raw bytes are UTF-8; of `base64` they are the body's own.
    """

    encoding: InnerEncoding
    value: bytes
    raw: bytes
    schema_valid: bool | None = None
    schema_errors: tuple[SchemaError, ...] = ()


def visible_headers(headers: Mapping[str, str], hidden: Hidden) -> dict[str, str]:
    """Headers for the reply: names in lower case, without a connection's own, cookies, and echoed credentials."""
    return in_headers({name: value for name, value in headers.items() if name not in HIDDEN_HEADERS}, hidden)


def decode_response(
    response: HttpResponse, schema: bytes | None, schemas: SchemaCache, hidden: Hidden = NOTHING_HIDDEN
) -> Decoded:
    """Decode by what the response says it is; what is `hidden` and stands in it is not in the answer.

    - no bytes, whatever the type: JSON null;
    - a JSON type (`application/json`, `text/json`, `…+json`): `json`; where it is not JSON after all, as if it were
      text, `schema_valid` false, and a schema error that says so;
    - no type: `json` where it is a JSON object or array, else as below;
    - a text type or a charset: `text` in the declared charset, else in UTF-8, else `base64`: no character is guessed;
    - anything else: `base64`.

    `schema` (packed) is checked for 2xx alone: it describes what the operation gives, not its refusals. It is checked
    against what is answered. Where that would take too long, `schema_valid` is None and a schema error says so.
    """
    if not 200 <= response.status < 300:
        schema = None
    body = response.body
    media_type, charset = _content_type(response.headers.get("content-type"))
    if not body:
        return _empty(response.status, schema, schemas)
    declared = media_type == "application/json" or media_type.endswith("+json") or media_type == "text/json"
    if declared or (not media_type and body.lstrip()[:1] in b"{["):
        found = _json(body, charset, hidden)
        if found is not None:
            return _checked_json(found, schema, schemas)
        if declared:
            text = _text(body, charset, hidden)
            problem = SchemaError("", f"The response says that it is {media_type}, and is not JSON that can be read.")
            return Decoded(*(text or _base64(body, hidden)), schema_valid=False, schema_errors=(problem,))
    textual = not media_type or media_type.startswith("text/") or media_type.endswith(_TEXT_SUFFIXES)
    text = _text(body, charset, hidden) if textual or charset or media_type in _TEXT_TYPES else None
    encoding, value, raw = text or _base64(body, hidden)
    return _checked_other(encoding, value, raw, schema, schemas)


def _empty(status: int, schema: bytes | None, schemas: SchemaCache) -> Decoded:
    if schema is None or status in {204, 205}:
        return Decoded("json", _NULL, b"")
    if not schemas.errors(schema, None):
        return Decoded("json", _NULL, b"", schema_valid=True)
    problem = SchemaError("", "The response is empty, and its schema describes a body.")
    return Decoded("json", _NULL, b"", schema_valid=False, schema_errors=(problem,))


def _checked_json(found: tuple[bytes, Any], schema: bytes | None, schemas: SchemaCache) -> Decoded:
    text, value = found
    if schema is None:
        return Decoded("json", text, text)
    try:
        errors = schemas.errors(schema, value, values=1 + text.count(b",") + text.count(b":"))
    except TooMuchToCheck:
        return Decoded("json", text, text, None, (_UNCHECKED,))
    return Decoded("json", text, text, not errors, tuple(errors))


def _checked_other(
    encoding: InnerEncoding, value: bytes, raw: bytes, schema: bytes | None, schemas: SchemaCache
) -> Decoded:
    """A schema describes `response` as it stands in the reply: of text and of bytes that is a string."""
    if schema is None:
        return Decoded(encoding, value, raw)
    errors = schemas.errors(schema, _decode(value))
    return Decoded(encoding, value, raw, not errors, tuple(errors))


def _json(body: bytes, charset: str, hidden: Hidden) -> tuple[bytes, Any] | None:
    """The body as UTF-8 JSON text and its value. JSON is UTF-8 (RFC 8259, 8.1); older servers have others."""
    found = _parsed(body)
    if found is None:
        charset = next((encoding for mark, encoding in _BOMS if body.startswith(mark)), charset)
        text = _decode_charset(body, charset) if charset else None
        found = None if text is None else _parsed(text.encode())
    if found is None or not hidden.stands_in(found[0]):
        return found
    return _parsed(in_json(found[0], hidden))


def _parsed(text: bytes) -> tuple[bytes, Any] | None:
    try:
        return text, _decode(text)
    except UNREADABLE:
        return None


def _text(body: bytes, charset: str, hidden: Hidden) -> tuple[InnerEncoding, bytes, bytes] | None:
    text = _decode_charset(body, charset) if charset else None
    if text is None:
        text = _decode_charset(body, "utf-8")
    if text is None:
        return None
    raw = text.encode()
    if hidden.stands_in(raw):
        raw = in_bytes(raw, hidden)
        text = raw.decode()
    return "text", msgspec.json.encode(text), raw


def _base64(body: bytes, hidden: Hidden) -> tuple[InnerEncoding, bytes, bytes]:
    body = in_bytes(body, hidden)
    return "base64", b'"' + base64.b64encode(body) + b'"', body


def _decode_charset(body: bytes, charset: str) -> str | None:
    if charset.replace("-", "_") in _NOT_CHARSETS:
        return None
    try:
        text = body.decode(charset)
        text.encode()
    except (LookupError, UnicodeError, ValueError):
        return None
    return text


def _content_type(header: str | None) -> tuple[str, str]:
    """Media type and charset, in lower case; empty where they are not given."""
    if header is None:
        return "", ""
    media_type, _, parameters = header.partition(";")
    charset = ""
    if parameters:
        for parameter in parameters.split(";"):
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "charset":
                charset = value.strip().strip("\"'").lower()
    return media_type.strip().lower(), charset
