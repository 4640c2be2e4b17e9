"""Redirects that are followed: of GET, within one origin, a few times. Any other one is the result as it came."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

import msgspec

from services.executor.transport.interface import HttpRequest, HttpResponse

MAX_REDIRECTS: Final = 5
_STATUSES: Final = frozenset({301, 302, 303, 307, 308})
_ENCODED: Final = re.compile(r"[!-~]+\Z")
_PORTS: Final = {"http": 80, "https": 443}


def redirected(request: HttpRequest, response: HttpResponse) -> HttpRequest | None:
    """The request that follows `response`, with the same headers; None where the response is the result.

    Another origin never gets one: headers may carry credentials.
    """
    if response.status not in _STATUSES or request.method != "GET":
        return None
    location = response.headers.get("location", "").strip()
    if not _ENCODED.match(location) or "\\" in location:
        return None
    try:
        target = urlsplit(urljoin(request.url, location))
        same = _origin(target) == _origin(urlsplit(request.url))
    except ValueError:
        return None
    if not same or "@" in target.netloc:
        return None
    return msgspec.structs.replace(request, url=target._replace(fragment="").geturl())


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    return url.scheme, url.hostname, url.port or _PORTS.get(url.scheme)
