"""Where requests come from: pages of this console may change things with a person's session, others may not.

A browser sends a session's cookie along with requests that any page makes. SameSite=Lax keeps it from most of them;
this is the second guard, by what browsers say of a request themselves and pages cannot change: `Sec-Fetch-Site`
(Fetch Metadata) and `Origin` (RFC 6454). A request that changes something and comes with a cookie must have one of
them, and it must name this console. So pages keep no token, and one that was open while its person signed in anew
goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from shared.contracts.errors import DibopError

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_OWN_SITES: Final = frozenset({"same-origin", "none"})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def read_public_url(url: str) -> str:
    """`scheme://host[:port]` as browsers write it; ValueError for anything more or less."""
    parts = urlsplit(url.strip().rstrip("/"))
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or parts.path or parts.query or parts.username:
        raise ValueError("must be http or https, a host and perhaps a port: https://connectors.example.com")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = "" if parts.port in {None, _DEFAULT_PORTS[parts.scheme]} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


@dataclass(frozen=True, slots=True)
class Origins:
    """The console's address, and by what other names a browser on the same machine may know it."""

    public_url: str
    names: frozenset[str]

    @classmethod
    def of(cls, public_url: str) -> Origins:
        scheme, _, rest = public_url.partition("://")
        host, _, port = rest.rpartition(":") if rest.rpartition(":")[2].isdigit() else (rest, "", "")
        suffix = f":{port}" if port else ""
        hosts = _LOOPBACK if host in _LOOPBACK else (host,)
        return cls(public_url, frozenset(f"{scheme}://{each}{suffix}" for each in hosts))

    @property
    def secure(self) -> bool:
        return self.public_url.startswith("https:")

    @property
    def port(self) -> int:
        parts = urlsplit(self.public_url)
        return parts.port or _DEFAULT_PORTS[parts.scheme]

    def check(self, method: str, headers: Headers, *, by_cookie: bool) -> None:
        """Refuse, with `forbidden`, what changes something and was sent by a page that is not this console's.

        `by_cookie`: the browser, not the page, has said who is asking; then there must be a sign that it was one of
        this console's pages.
        """
        if method in _SAFE_METHODS:
            return
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        own = (origin is None or origin in self.names) and (site is None or site in _OWN_SITES)
        if own and (origin or site or not by_cookie):
            return
        raise DibopError(
            "forbidden",
            f"The request was not sent by a page of {self.public_url}, so that it is not taken for the person's own. "
            "Open the console at this address; programs send a token in the Authorization header.",
        )
