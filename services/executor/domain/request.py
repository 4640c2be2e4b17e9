"""From parameters and headers to one HTTP request, or to all that is wrong with them at once."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from services.executor.domain.auth import Credentials
from services.executor.domain.encoding import encode_component, json_bytes, scalar_text, texts
from services.executor.domain.oauth import TokenClient
from services.executor.domain.plan import AuthPlan, Location, OperationPlan, ParameterPlan
from services.executor.domain.schemas import SchemaCache
from services.executor.domain.values import allowed, header_problem, problem_of
from services.executor.transport.client_certificate import ClientCertificate
from services.executor.transport.interface import HttpRequest
from shared.contracts.errors import DibopError
from shared.contracts.execution import IDEMPOTENCY_HEADER
from shared.contracts.limits import (
    MAX_EXTRA_HEADERS,
    MAX_HEAD_CHARACTERS,
    MAX_IDEMPOTENCY_KEY_CHARACTERS,
    MAX_URL_CHARACTERS,
)
from shared.contracts.names import did_you_mean

FORBIDDEN_HEADERS: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that frame the message or belong to one connection (RFC 9110, 7.6.1): no caller may set them."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_UNSET: Final = msgspec.UNSET
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_MAX_ERRORS: Final = 100
_MAX_ADVICE: Final = 10
"""Names are compared for so many unknown parameters; that takes a while."""

Problems = list[dict[str, str]]


class Target(msgspec.Struct, frozen=True, gc=False):
    """Where requests of a connection go, and what each of them carries. `base` has its placeholders filled.

    `certificate` is presented in TLS. With `tokens`, each request needs an access token on top of `credentials`.
    """

    base: str
    auth: AuthPlan
    credentials: Credentials
    certificate: ClientCertificate | None = None
    tokens: TokenClient | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """What nothing that is said may show."""
        return self.credentials.secrets if self.tokens is None else self.tokens.secrets


class Placed:
    """Checked values, by where they go."""

    __slots__ = ("body", "headers", "path", "query")

    def __init__(self) -> None:
        self.path: dict[str, str] = {}
        self.query: list[str] = []
        self.headers: list[tuple[str, str]] = []
        self.body: dict[str, Any] = {}


def build_request(
    operation: OperationPlan,
    target: Target,
    parameters: Mapping[str, Any],
    headers: Mapping[str, str],
    *,
    idempotency_key: str | None,
    schemas: SchemaCache,
) -> HttpRequest:
    """The request of `operation`, percent-encoded and ready to be written.

    `idempotency_key` goes into the operation's idempotency header, and is made where there is none. Raises
    `invalid-parameters` with one `{name, problem, allowed}` for each thing that is wrong.
    """
    problems: Problems = []
    placed = _place(operation, parameters, schemas, problems)
    sent = placed.headers
    if headers:
        sent.extend(_extra_headers(operation, target.auth, headers, problems))
    if operation.idempotency_header is not None:
        _add_idempotency_key(operation.idempotency_header, idempotency_key, sent, problems)
    url = "" if problems else _url(operation, target, placed)
    if len(url) > MAX_URL_CHARACTERS:
        problems.append(_too_long("the URL", len(url), MAX_URL_CHARACTERS))
    if sent and sum(len(name) + len(value) for name, value in sent) > MAX_HEAD_CHARACTERS:
        problems.append({"name": "headers", "problem": "are too long", "allowed": _characters(MAX_HEAD_CHARACTERS)})
    if problems:
        raise _invalid(operation, problems)
    body, content_type = _body(operation, placed)
    if content_type is not None and not any(name.lower() == "content-type" for name, _ in sent):
        sent.append(("Content-Type", content_type))
    sent.extend(target.credentials.headers)
    return HttpRequest(operation.method, url, sent, body, target.certificate)


def sensitive_texts(operation: OperationPlan, given: Mapping[str, Any]) -> Iterator[str]:
    """The texts of the given values that are secrets."""
    for name in operation.sensitive:
        if name in given:
            yield from _texts_within(given[name])


def _texts_within(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _texts_within(item)
    elif value is not None and not isinstance(value, bool):
        yield scalar_text(value)


def _place(operation: OperationPlan, given: Mapping[str, Any], schemas: SchemaCache, problems: Problems) -> Placed:
    placed = Placed()
    used = 0
    for parameter in operation.parameters:
        name = parameter.name
        if name in given:
            used += 1
            value = given[name]
            problem = problem_of(parameter, value, schemas)
            if problem is not None:
                problems.append({"name": name, "problem": problem, "allowed": allowed(parameter)})
                continue
        elif parameter.default is not _UNSET:
            value = parameter.default
        else:
            if parameter.required:
                problems.append({"name": name, "problem": "is required", "allowed": allowed(parameter)})
            continue
        _PUT[parameter.location](placed, parameter, value)
    if used != len(given):
        _report_unknown(operation, given, problems)
    return placed


def _put_query(placed: Placed, parameter: ParameterPlan, value: Any) -> None:
    if isinstance(value, list):
        placed.query.extend(parameter.key + encode_component(text) for text in texts(value))
    else:
        placed.query.append(parameter.key + encode_component(scalar_text(value)))


def _put_path(placed: Placed, parameter: ParameterPlan, value: Any) -> None:
    placed.path[parameter.name] = encode_component(",".join(texts(value)))


def _put_header(placed: Placed, parameter: ParameterPlan, value: Any) -> None:
    placed.headers.append((parameter.name, ",".join(texts(value))))


def _put_body(placed: Placed, parameter: ParameterPlan, value: Any) -> None:
    whole = parameter.type == "integer" and isinstance(value, float)
    placed.body[parameter.name] = int(value) if whole else value


_PUT: Final[Mapping[Location, Callable[[Placed, ParameterPlan, Any], None]]] = {
    "query": _put_query,
    "path": _put_path,
    "header": _put_header,
    "body": _put_body,
}


def _report_unknown(operation: OperationPlan, given: Mapping[str, Any], problems: Problems) -> None:
    known = {parameter.name for parameter in operation.parameters}
    for name in given:
        if name not in known:
            advice = _advice(name, known) if len(problems) < _MAX_ADVICE else "One that the operation declares."
            problems.append({"name": name[:200], "problem": "is not a parameter of the operation", "allowed": advice})
        if len(problems) >= _MAX_ERRORS:
            return


def _advice(name: str, known: set[str]) -> str:
    return did_you_mean(name, known, "parameter") if known else "The operation takes no parameters."


def _extra_headers(
    operation: OperationPlan, auth: AuthPlan, headers: Mapping[str, str], problems: Problems
) -> list[tuple[str, str]]:
    if len(headers) > MAX_EXTRA_HEADERS:
        allowed_count = f"at most {MAX_EXTRA_HEADERS}"
        problems.append({"name": "headers", "problem": f"are {len(headers):,}", "allowed": allowed_count})
        return []
    taken = {parameter.name.lower() for parameter in operation.parameters if parameter.location == "header"}
    accepted: dict[str, tuple[str, str]] = {}
    for name, value in headers.items():
        lowered = name.lower()
        if not _TOKEN.match(name):
            problem, mend = "is not a header name", "letters, digits and !#$%&'*+-.^_`|~"
        elif lowered in FORBIDDEN_HEADERS:
            problem, mend = "frames the message and cannot be set", "leave it out; it is set for you"
        elif auth.header and lowered == auth.header.lower():
            problem, mend = "carries the connection's credential and cannot be set", "leave it out"
        elif lowered in taken:
            problem, mend = "is a parameter of the operation", "give it in parameters"
        elif lowered == "content-type" and operation.body_encoding in {"form", "multipart"}:
            problem, mend = "belongs to the operation's body encoding", "leave it out; it is set for you"
        elif lowered in accepted:
            problem, mend = "is given twice, in different spellings", "give it once"
        else:
            accepted[lowered] = (name, value)
            found = header_problem(value) or (None if value.isascii() else _unencodable(value))
            if found is None:
                continue
            problem, mend = found, "text without line breaks and NUL"
        problems.append({"name": name[:200], "problem": problem, "allowed": mend})
    return list(accepted.values())


def _too_long(name: str, length: int, most: int) -> dict[str, str]:
    return {"name": name, "problem": f"is {length:,} characters long", "allowed": _characters(most)}


def _characters(most: int) -> str:
    return f"at most {most:,} characters"


def _unencodable(text: str) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return "has a lone surrogate, which UTF-8 cannot hold"
    return None


def _add_idempotency_key(header: str, key: str | None, sent: list[tuple[str, str]], problems: Problems) -> None:
    if any(name.lower() == header.lower() for name, _ in sent):
        return
    if key is not None and len(key) > MAX_IDEMPOTENCY_KEY_CHARACTERS:
        problems.append(_too_long(IDEMPOTENCY_HEADER, len(key), MAX_IDEMPOTENCY_KEY_CHARACTERS))
        return
    if key is not None and (problem := header_problem(key) or _unencodable(key)):
        problems.append({"name": IDEMPOTENCY_HEADER, "problem": problem, "allowed": "text without line breaks and NUL"})
        return
    sent.append((header, key or secrets.token_hex(16)))


def _url(operation: OperationPlan, target: Target, placed: Placed) -> str:
    literals = operation.literals
    url = target.base + literals[0]
    for number, name in enumerate(operation.path_names, start=1):
        url += placed.path[name] + literals[number]
    query = placed.query
    if target.credentials.query:
        query.append(target.credentials.query)
    if not query:
        return url
    return f"{url}{'&' if '?' in url else '?'}{'&'.join(query)}"


def _body(operation: OperationPlan, placed: Placed) -> tuple[bytes | None, str | None]:
    encoding = operation.body_encoding
    if encoding is None:
        return None, None
    if encoding == "whole":
        value = next(iter(placed.body.values()), _UNSET)
        return (None, None) if value is _UNSET else (json_bytes(value), "application/json")
    if not placed.body and operation.method not in _WITH_BODY:
        return None, None
    if encoding == "json":
        return json_bytes(placed.body), "application/json"
    if encoding == "form":
        pairs = [(name, text) for name, value in placed.body.items() for text in texts(value)]
        return urlencode(pairs).encode(), "application/x-www-form-urlencoded"
    return _multipart(placed.body)


def _multipart(values: Mapping[str, Any]) -> tuple[bytes, str]:
    """RFC 7578. A boundary of 128 random bits stands in no value."""
    boundary = secrets.token_hex(16)
    parts: list[str] = []
    for name, value in values.items():
        quoted = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        kind = "\r\nContent-Type: application/json" if isinstance(value, dict) else ""
        parts.extend(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{quoted}"{kind}\r\n\r\n{text}\r\n'
            for text in texts(value)
        )
    return ("".join(parts) + f"--{boundary}--\r\n").encode(), f"multipart/form-data; boundary={boundary}"


def _invalid(operation: OperationPlan, problems: Problems) -> DibopError:
    count = len(problems)
    first = problems[0]
    what = "One value does" if count == 1 else f"{count} values do"
    return DibopError(
        "invalid-parameters",
        f"{what} not fit the operation {operation.name!r}; {first['name']!r} {first['problem']}. "
        "Mend what `errors` lists and repeat; nothing was sent.",
        errors=problems[:_MAX_ERRORS],
    )
