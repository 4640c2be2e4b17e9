"""What a test of a draft sent and got, fit to be kept and shown: without secrets, and of bounded size.

Secrets are taken out by value (those at hand, see `shared.security.redaction`), by shape, by the names of headers,
query values and fields, and by place: the credential's own header or query value and the operation's sensitive
parameters, however short they are. A body is redacted before it is cut, so that no cut leaves half a secret.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from services.executor.domain.echoes import NOTHING_HIDDEN
from services.executor.domain.encoding import encode_component
from services.executor.domain.plan import AuthPlan, OperationPlan
from services.executor.domain.response import Decoded, visible_headers
from services.executor.transport.interface import HttpRequest, HttpResponse
from shared.contracts.execution import Exchange, InnerEncoding, RecordedBody, RecordedRequest, RecordedResponse
from shared.contracts.unreadable import UNREADABLE
from shared.security.redaction import REDACTED, SHORTEST, at_hand, hide, hide_bytes, names_secret, needles, redacted

MAX_RECORDED_CHARACTERS: Final = 64 * 1024
"""So much is kept of a body, and of all headers together."""
MAX_REDACTED_BYTES: Final = 1024 * 1024
"""Of a larger body only so much is looked at; the rest is left out."""

_FORM: Final = "application/x-www-form-urlencoded"
_COOKIES: Final = frozenset({"cookie", "set-cookie", "set-cookie2"})
_QUERY_PAIR: Final = re.compile(r"(?<=[?&])([^=&#]*)=([^&#]*)")
_FORM_PAIR: Final = re.compile(r"(?:(?<=&)|\A)([^=&]*)=([^&]*)")


class Recorder:
    """Notes one exchange as it happens. `exchange` redacts it, and asks for that in the task that made it."""

    def __init__(self) -> None:
        self._request: HttpRequest | None = None
        self._response: tuple[HttpResponse, Decoded] | None = None
        self._places: _Places | None = None

    def sending(
        self, request: HttpRequest, operation: OperationPlan, auth: AuthPlan, sensitive: Iterable[str] = ()
    ) -> None:
        """`sensitive` are the texts of the given values that are secrets."""
        self._request = request
        self._places = _Places(operation, auth, frozenset(sensitive))

    def answered(self, response: HttpResponse, body: Decoded) -> None:
        self._response = (response, body)

    def exchange(self) -> Exchange | None:
        """None where it did not come to a request."""
        if self._request is None or self._places is None:
            return None
        return Exchange(
            request=_request(self._request, self._places),
            response=_response(*self._response, self._places) if self._response else None,
        )


class _Places:
    """Where secrets stand, whatever they look like."""

    def __init__(self, operation: OperationPlan, auth: AuthPlan, texts: frozenset[str]) -> None:
        given = {parameter.name: parameter.location for parameter in operation.parameters}
        sensitive = operation.sensitive
        self.header_names = frozenset(
            name.lower() for name in (auth.header, *(each for each in sensitive if given[each] == "header")) if name
        )
        queried = [each for each in sensitive if given[each] == "query"]
        self.query_names = frozenset(encode_component(name) for name in (auth.query_parameter, *queried) if name)
        self.fields = frozenset(each for each in sensitive if given[each] == "body")
        self.whole = operation.body_encoding == "whole" and bool(self.fields)
        self.segments = frozenset(map(encode_component, texts)) if "path" in map(given.get, sensitive) else frozenset()
        self.short = any(len(text) < SHORTEST for text in texts)

    def hides_header(self, name: str) -> bool:
        lowered = name.lower()
        return lowered in self.header_names or lowered in _COOKIES or names_secret(name)

    def hides_query(self, name: str) -> bool:
        return name in self.query_names or names_secret(name)

    def hides_field(self, name: str) -> bool:
        return name in self.fields or encode_component(name) in self.fields or names_secret(name)


def _request(request: HttpRequest, places: _Places) -> RecordedRequest:
    content_type = next((value for name, value in request.headers if name.lower() == "content-type"), "")
    return RecordedRequest(
        method=request.method,
        url=_url(request.url, places),
        headers=_headers(request.headers, places),
        body=_request_body(request.body, content_type, places) if request.body else None,
    )


def _response(response: HttpResponse, body: Decoded, places: _Places) -> RecordedResponse:
    headers = visible_headers(response.headers, NOTHING_HIDDEN)
    return RecordedResponse(
        status_code=response.status,
        headers=_headers(headers.items(), places),
        body=_response_body(body, len(response.body)) if response.body else None,
    )


def _url(url: str, places: _Places) -> str:
    path, mark, query = url.partition("?")
    if places.segments:
        path = "/".join(REDACTED if part in places.segments else part for part in path.split("/"))
    shown = _pairs(_QUERY_PAIR, mark + query, places.hides_query)
    return hide(path + shown)[:MAX_RECORDED_CHARACTERS]


def _pairs(pattern: re.Pattern[str], text: str, hides: Callable[[str], bool]) -> str:
    return pattern.sub(lambda pair: f"{pair[1]}={REDACTED}" if hides(pair[1]) else pair[0], text)


def _headers(headers: Iterable[tuple[str, str]], places: _Places) -> list[tuple[str, str]]:
    """In their order, until they are too many."""
    shown, left = [], MAX_RECORDED_CHARACTERS
    for name, value in headers:
        text = REDACTED if places.hides_header(name) else hide(value)
        left -= len(name) + len(text)
        if left < 0:
            break
        shown.append((hide(name), text))
    return shown


def _request_body(body: bytes, content_type: str, places: _Places) -> RecordedBody:
    media_type = content_type.partition(";")[0].strip().lower()
    if places.whole:
        return _cut("text", REDACTED, len(body), whole=True)
    if media_type == "application/json":
        return _json(body, len(body), places.fields)
    if media_type == _FORM:
        text = _pairs(_FORM_PAIR, body[:MAX_REDACTED_BYTES].decode("utf-8", "replace"), places.hides_field)
        return _cut("text", hide(text), len(body), whole=len(body) <= MAX_REDACTED_BYTES)
    if places.fields and places.short:  # parts of other bodies are not told apart
        return _cut("text", REDACTED, len(body), whole=True)
    return _other(body, len(body))


def _response_body(body: Decoded, size: int) -> RecordedBody:
    if body.encoding == "json":
        return _json(body.raw, size)
    if body.encoding == "text":
        text = body.raw[:MAX_REDACTED_BYTES].decode("utf-8", "replace")
        return _cut("text", hide(text), size, whole=len(body.raw) <= MAX_REDACTED_BYTES)
    return _bytes(body.raw, size)


def _json(body: bytes, size: int, fields: frozenset[str] = frozenset()) -> RecordedBody:
    """Fields whose names speak of secrets go by name, at any depth; `fields` at the top."""
    if len(body) > MAX_REDACTED_BYTES:
        return _cut("text", hide(body[:MAX_REDACTED_BYTES].decode("utf-8", "replace")), size, whole=False)
    try:
        value = msgspec.json.decode(body)
    except UNREADABLE:
        return _other(body, size)
    shown: Any = redacted(value)
    if isinstance(shown, Mapping):
        shown = {name: REDACTED if name in fields else item for name, item in shown.items()}
    return _cut("json", msgspec.json.encode(shown).decode(), size, whole=True)


def _other(body: bytes, size: int) -> RecordedBody:
    try:
        text = body[:MAX_REDACTED_BYTES].decode()
    except UnicodeDecodeError:
        return _bytes(body, size)
    return _cut("text", hide(text), size, whole=len(body) <= MAX_REDACTED_BYTES)


def _bytes(body: bytes, size: int) -> RecordedBody:
    clean = hide_bytes(body, needles(at_hand(), SHORTEST))
    kept = clean[: MAX_RECORDED_CHARACTERS // 4 * 3]
    return RecordedBody("base64", base64.b64encode(kept).decode(), size, truncated=len(kept) < len(clean))


def _cut(encoding: InnerEncoding, text: str, size: int, *, whole: bool) -> RecordedBody:
    if whole and len(text) <= MAX_RECORDED_CHARACTERS:
        return RecordedBody(encoding, text, size)
    return RecordedBody("text", text[:MAX_RECORDED_CHARACTERS], size, truncated=True)
