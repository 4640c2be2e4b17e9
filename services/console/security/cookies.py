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
        self._sign_in = "__Host-dibop-sign-in" if self._secure else f"dibop-sign-in-{origins.port}"

    def read(self, request: Request) -> str | None:
        return request.cookies.get(self.name)

    def set(self, response: Response, session_id: str, seconds: int) -> None:
        self._set(response, self.name, session_id, seconds)

    def clear(self, response: Response) -> None:
        self._clear(response, self.name)

    def read_sign_in(self, request: Request) -> str | None:
        """What says that a sign-in was begun in this browser."""
        return request.cookies.get(self._sign_in)

    def set_sign_in(self, response: Response, value: str, seconds: int) -> None:
        self._set(response, self._sign_in, value, seconds)

    def clear_sign_in(self, response: Response) -> None:
        self._clear(response, self._sign_in)

    def _set(self, response: Response, name: str, value: str, seconds: int) -> None:
        response.set_cookie(name, value, max_age=seconds, path="/", httponly=True, samesite="lax", secure=self._secure)

    def _clear(self, response: Response, name: str) -> None:
        response.delete_cookie(name, path="/", httponly=True, samesite="lax", secure=self._secure)
