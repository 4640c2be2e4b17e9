"""A request as bytes, and the refusal of everything that could change what the head means."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from services.executor.transport.interface import HttpRequest

USER_AGENT: Final = "dibop-connectors"

METHODS: Final = frozenset({"GET", "POST", "PUT", "DELETE", "PATCH"})
_BODY_METHODS: Final = frozenset({"POST", "PUT", "PATCH"})
# They frame the message or belong to one connection: the transport alone sets them (RFC 9110, 7.6.1).
FRAMING: Final = frozenset(
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
_DEFAULTS: Final = (
    ("accept", "Accept: */*"),
    ("accept-encoding", "Accept-Encoding: gzip, deflate"),
    ("user-agent", f"User-Agent: {USER_AGENT}"),
)
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Scheme and authority, which are read by `parse_address`, then a target of visible ASCII; a fragment is not sent.
_URL: Final = re.compile(r"([Hh][Tt][Tt][Pp][Ss]?://[^/?#]*)((?:[/?][!-\"$-~]*)?)(?:#.*)?", re.DOTALL)


class BadRequest(ValueError):  # noqa: N818 - HTTP's own name for it
    """The request cannot be sent as it is. The text is a whole sentence for the caller."""


def split_url(url: str) -> tuple[str, str]:
    """Cut an absolute URL into its origin, which is still to be checked, and the request target. Raises BadRequest."""
    match = _URL.fullmatch(url)
    if match is None:
        raise BadRequest(
            "The URL is not an absolute http or https URL in encoded form. "
            "It may hold no space, no control character and no raw non-ASCII character."
        )
    origin, target = match.groups()
    if not target.startswith("/"):
        target = "/" + target
    return origin, target


def encode_request(request: HttpRequest, host: str, target: str) -> bytes:
    """The whole request as bytes. `host` is the value of the Host header. Raises BadRequest."""
    method = request.method
    if method not in METHODS:
        raise BadRequest(f"The method {method!r} is not supported. Use one of {', '.join(sorted(METHODS))}.")
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    given = set()
    for name, value in request.headers:
        given.add(_checked_name(name))
        lines.append(f"{name}: {value}")
    lines.extend(line for name, line in _DEFAULTS if name not in given)
    if request.body is not None or method in _BODY_METHODS:
        lines.append(f"Content-Length: {len(request.body or b'')}")
    text = "\r\n".join(lines) + "\r\n\r\n"
    breaks = len(lines) + 1
    if text.count("\r") != breaks or text.count("\n") != breaks or "\0" in text:
        raise _bad_value(request)
    try:
        head = text.encode()
    except UnicodeEncodeError:
        raise _bad_value(request) from None
    return head + request.body if request.body else head


@lru_cache(maxsize=4096)
def _checked_name(name: str) -> str:
    lowered = name.lower()
    if not _TOKEN.fullmatch(name):
        raise BadRequest("A header's name has a character that HTTP does not allow in names. Rename it.")
    if lowered in FRAMING:
        raise BadRequest(f"The header {name} is set by the transport alone. Leave it out.")
    return lowered


def _bad_value(request: HttpRequest) -> BadRequest:
    for name, value in request.headers:
        if not value.isprintable():
            return BadRequest(f"The value of the header {name} has a line break, a NUL or a lone surrogate. Remove it.")
    return BadRequest("The request's head has a line break or a NUL. Remove it.")
