"""The limits on what comes in, as a table that is read from the constants that hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from pydantic import BaseModel

from services.executor.domain import client_certificate, redirects, schemas, timing, values
from services.executor.oauth import answers
from services.executor.oauth.requests import MAX_ANSWER_BYTES
from services.executor.transport import body, reading
from services.registry.domain.pages import MAX_PAGE_BYTES
from shared.contracts import execution, limits
from shared.contracts.errors import ErrorCode
from shared.contracts.icons import png, svg
from shared.contracts.names import TOKEN_PATTERN
from shared.contracts.template import data_urls, model, plain, schema_cost, yaml_source
from shared.messaging import replies
from shared.security import redaction
from shared.security.principals import keys, tokens

Told = ErrorCode | str


class Row(NamedTuple):
    """`then` is what happens to what is over the limit: an error's code, or a phrase."""

    what: str
    limit: str
    then: Told


def sections() -> Mapping[str, list[Row]]:
    """The rows by what they are about."""
    return {title: list(rows()) for title, rows in _SECTIONS.items()}


def _template() -> Iterator[Row]:
    code = "invalid-template"
    yield Row("document, as text and as canonical JSON", _bytes(plain.MAX_TEMPLATE_BYTES), code)
    yield Row("nesting", f"{plain.MAX_DEPTH} levels", code)
    yield Row("values, aliases written out", _count(plain.MAX_NODES), code)
    yield Row("integers", f"±{plain.MAX_SAFE_INTEGER:,}", code)
    yield Row("names, twice in one mapping", "refused in YAML and JSON files", code)
    yield Row("problems told at once", _count(yaml_source.MAX_PROBLEMS), "the rest is told next time")
    yield Row("operations", _most(model.Template, "operations"), code)
    yield Row("parameters of an operation", _most(model.Operation, "parameters"), code)
    yield Row("values of an enum", _most(model.Parameter, "enum"), code)
    yield Row("credential fields", _most(model.Auth, "credential_schema"), code)
    yield Row("parts of a schema that are checked against one value", _count(schema_cost.MAX_SCHEMA_WEIGHT), code)
    yield Row("patterns of schemas", "linear time: no lookaround, no back-references", code)
    yield Row("references of schemas", "within the schema; nothing is fetched", code)
    yield Row("icon", _bytes(data_urls.MAX_ICON_BYTES), code)
    yield Row("PNG", f"{png.MAX_PIXELS_A_SIDE:,} pixels a side", code)
    yield Row("SVG", f"{svg.MAX_ELEMENTS:,} elements, {svg.MAX_DEPTH} levels", code)


def _request() -> Iterator[Row]:
    code = "invalid-request"
    yield Row("body", _bytes(execution.MAX_REQUEST_BYTES), code)
    yield Row("message with its headers", _bytes(execution.MAX_PAYLOAD_BYTES), "refused by NATS")
    yield Row("names of enterprise, connector, operation, connection", f"`{TOKEN_PATTERN}`", code)
    yield Row("timeout", f"{timing.MIN_TIMEOUT} to {timing.MAX_TIMEOUT:g} s", code)
    yield Row("Dibop-Deadline-Ms", f"{execution.MAX_DEADLINE_MS:,} ms", code)
    yield Row("Dibop-Request-Id", "128 of letters, digits and `._:/+=-`", "another id is made")
    yield Row("names, twice in one object", "the last one counts", "as in every part that reads it")
    code = "invalid-parameters"
    yield Row("Idempotency-Key", _characters(limits.MAX_IDEMPOTENCY_KEY_CHARACTERS), code)
    yield Row("headers that a caller adds", _count(limits.MAX_EXTRA_HEADERS), code)
    yield Row("all headers to the external system", _characters(limits.MAX_HEAD_CHARACTERS), code)
    yield Row("URL, encoded", _characters(limits.MAX_URL_CHARACTERS), code)
    yield Row("integers", f"±{values.MAX_INTEGER:,}", code)
    yield Row("numbers", "finite", code)
    yield Row("nesting of a value", f"{values._MAX_NESTING} levels", code)
    yield Row("text", "no halves of surrogate pairs; no CR, LF, NUL in headers", code)


def _response() -> Iterator[Row]:
    yield Row("body, decoded", f"{_bytes(execution.MAX_RESPONSE_BYTES)} (a setting)", "response-too-large")
    yield Row("content codings, one inside the other", _count(body._MAX_CODINGS), "upstream-timeout")
    yield Row("members of a gzip body", _count(body._MAX_GZIP_MEMBERS), "upstream-timeout")
    yield Row("status line, and each header", _bytes(reading._HEADER_LIMIT), "upstream-timeout")
    yield Row("interim responses", _count(reading._MAX_INTERIM_RESPONSES), "upstream-timeout")
    yield Row("redirects that are followed", _count(redirects.MAX_REDIRECTS), "the last one is the result")
    yield Row("reply in one message", _bytes(replies.MAX_REPLY_BYTES), "it goes in parts")
    yield Row("checks against the schema", _count(schemas.MAX_CHECKS), "`schema_valid` is null")
    yield Row("schema errors told", _count(schemas.MAX_SCHEMA_ERRORS), "the rest is not told")
    yield Row("credentials redacted in headers", f"from {redaction.SHORTEST} characters on", "shorter ones stay")
    yield Row("credentials redacted in bodies", f"from {redaction.SHORTEST_IN_BODY} characters on", "shorter ones stay")


def _command() -> Iterator[Row]:
    code = "invalid-request"
    yield Row("body", f"{_bytes(execution.MAX_REQUEST_BYTES)}, of a draft more", code)
    yield Row("names that are looked for, cursors", _characters(limits.MAX_NAME_CHARACTERS), code)
    yield Row("operations that a test names", _count(limits.MAX_NAMES), code)
    yield Row("page", _bytes(MAX_PAGE_BYTES), "the page is shorter")
    yield Row("reply", _bytes(replies.MAX_REPLY_BYTES), "response-too-large")
    yield Row("fields of a command", "no NUL", code)
    yield Row("at work and waiting", "a bound for each command", "overloaded")


def _secret() -> Iterator[Row]:
    code = "invalid-request"
    yield Row("credential fields of a connection", _count(limits.MAX_FIELDS), code)
    yield Row("a field that is not sealed", _characters(limits.MAX_CREDENTIAL_CHARACTERS), code)
    yield Row("a sealed field", _characters(limits.MAX_SEALED_CHARACTERS), code)
    code = "credentials-rejected"
    yield Row("client certificate or key", _bytes(client_certificate.MAX_PEM_BYTES), code)
    yield Row("certificates in a chain", _count(client_certificate.MAX_CHAIN), code)
    yield Row("answer of a token endpoint", _bytes(MAX_ANSWER_BYTES), "upstream-unreachable")
    yield Row("access or refresh token", _characters(answers._MOST_TOKEN), "upstream-unreachable")
    code = "unauthenticated"
    yield Row("JWT", _characters(tokens.MAX_TOKEN_CHARACTERS), code)
    yield Row("JWT header", _characters(tokens._MAX_HEADER_CHARACTERS), code)
    yield Row("subject of a JWT", _characters(tokens._MAX_SUBJECT_CHARACTERS), code)
    yield Row("keys of a JWK Set", _count(keys._MOST_KEYS), "the rest is ignored")


_SECTIONS: Final[Mapping[str, Callable[[], Iterator[Row]]]] = {
    "Templates": _template,
    "Requests to execute": _request,
    "Responses of external systems": _response,
    "Commands to registry, publisher and executors": _command,
    "Credentials and tokens": _secret,
}


def _most(part: type[BaseModel], field: str) -> str:
    """The `max_length` of a field."""
    metadata: list[Any] = part.model_fields[field].metadata
    return _count(next(item.max_length for item in metadata if hasattr(item, "max_length")))


def _bytes(number: int) -> str:
    for unit, size in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if number >= size and 2 * number % size == 0:
            return f"{number / size:,g} {unit}"
    return f"{number:,} bytes"


def _characters(number: int) -> str:
    return f"{number:,} characters"


def _count(number: int) -> str:
    return f"{number:,}"
