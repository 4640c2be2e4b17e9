"""Static files under addresses that change with their content, so that browsers keep them for good."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from services.console.pages.linking import link_modules, link_styles
from shared.contracts.errors import DibopError

STATIC: Final = Path(__file__).resolve().parents[1] / "static"
STYLES: Final = ("tokens", "base", "controls", "layout", "tables", "builder", "pages")
ENTRIES: Final = ("builder", "site")
PLAIN: Final = ("js/theme.js", "img/icon.svg")
VENDORED: Final = ("alpine.js", "editor.js", "inter-latin.woff2", "inter-latin-ext.woff2")

_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_PACKED: Final = frozenset({".js", ".css", ".svg"})
_FOR_GOOD: Final = "public, max-age=31536000, immutable"
_DIGEST_CHARACTERS: Final = 12


@dataclass(frozen=True, slots=True)
class Asset:
    content: bytes
    packed: bytes | None
    media_type: str


class Assets:
    """All static files, read and joined once when the console starts."""

    def __init__(self, static: Path = STATIC) -> None:
        self._by_address: dict[str, Asset] = {}
        self._addresses: dict[str, str] = {}
        for name in VENDORED:
            self._add(f"vendor/{name}", (static / "vendor" / name).read_bytes())
        for name in PLAIN:
            self._add(name, (static / name).read_bytes())
        for name in ENTRIES:
            self._add(f"{name}.js", link_modules(static / "js" / f"{name}.js", self.address).encode())
        styles = [static / "css" / f"{name}.css" for name in STYLES]
        self._add("app.css", link_styles(styles, self.address).encode())

    def address(self, name: str) -> str:
        """Where a file is served: `/static/<digest>/<name>`."""
        return self._addresses[name]

    def found(self, address: str) -> Asset | None:
        return self._by_address.get(address)

    async def serve(self, request: Request) -> Response:
        """The file of an address; `not-found` for others."""
        found = self.found(request.url.path)
        if found is None:
            raise DibopError("not-found", "There is no such file. Reload the page: the console was updated.")
        headers = {"Cache-Control": _FOR_GOOD, "Vary": "Accept-Encoding"}
        if found.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(found.packed, media_type=found.media_type, headers={**headers, "Content-Encoding": "gzip"})
        return Response(found.content, media_type=found.media_type, headers=headers)

    def _add(self, name: str, content: bytes) -> None:
        digest = hashlib.sha256(content).hexdigest()[:_DIGEST_CHARACTERS]
        address, suffix = f"/static/{digest}/{name}", Path(name).suffix
        packed = gzip.compress(content, mtime=0) if suffix in _PACKED else None
        self._by_address[address] = Asset(content, packed, _TYPES[suffix])
        self._addresses[name] = address
