"""The session's cookie: what it is called and how it is set."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from services.console.security.origins import Origins


class SessionCookie:
    """HttpOnly, SameSite=Lax, for this host alone.

    Browsers share cookies between all ports of a host: the port in the name keeps stacks on one machine apart.
    """

    def __init__(self, origins: Origins) -> None:
        self._secure = origins.secure
        self.name = "__Host-dibop-session" if self._secure else f"dibop-session-{origins.port}"

    def read(self, request: Request) -> str | None:
        return request.cookies.get(self.name)

    def set(self, response: Response, session_id: str, seconds: int) -> None:
        response.set_cookie(
            self.name, session_id, max_age=seconds, path="/", httponly=True, samesite="lax", secure=self._secure
        )

    def clear(self, response: Response) -> None:
        response.delete_cookie(self.name, path="/", httponly=True, samesite="lax", secure=self._secure)
