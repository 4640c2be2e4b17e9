"""An external system that gives away what it is sent: it echoes, quotes and redirects with the caller's credentials."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import parse_qs, urlsplit


class LeakyServer(ThreadingHTTPServer):
    """`access_token` and `refresh_token` are what its token endpoint grants.

    While it is `polite`, it answers everything with an empty object and grants tokens at every endpoint.
    """

    daemon_threads = True

    def __init__(self, access_token: str, refresh_token: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.access_token = access_token
        self.refresh_token = refresh_token
        self.polite = False
        self.sent: list[str] = []
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LeakyServer

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - http.server's own name
        """Nothing: the test's own output is no place to look for."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("utf-8", "replace")
        self.server.sent.append(self.heard(body))
        name = urlsplit(self.path).path.strip("/").partition("/")[0]
        if self.server.polite:
            (_token if "grant_type=" in body else _politely)(self, body)
        else:
            _BEHAVIOURS.get(name, _echo)(self, body)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _serve  # noqa: N815 - http.server's names

    def heard(self, body: str) -> str:
        return json.dumps({"url": self.path, "headers": dict(self.headers), "body": body}, ensure_ascii=False)

    def answer(self, status: int, body: str | bytes, kind: str = "application/json", **headers: str) -> None:
        raw = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for header, value in {"Content-Type": kind, "Content-Length": str(len(raw)), **headers}.items():
            self.send_header(header.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(raw)


def _politely(call: _Handler, body: str) -> None:
    call.answer(200, "{}")


def _echo(call: _Handler, body: str) -> None:
    call.answer(200, call.heard(body))


def _large(call: _Handler, body: str) -> None:
    """More than fits one reply, so that it goes in parts, through the stream."""
    call.answer(200, json.dumps({"heard": call.heard(body), "filler": ["x" * 1000] * 3000}))


def _fail(call: _Handler, body: str) -> None:
    page = f"<html><pre>Traceback: {call.heard(body)}</pre></html>"
    call.answer(500, page.encode("utf-16"), "text/html; charset=utf-16")


def _binary(call: _Handler, body: str) -> None:
    call.answer(200, b"\x00\x01" + call.heard(body).encode() + b"\xff", "application/octet-stream")


def _headers(call: _Handler, body: str) -> None:
    call.answer(
        400,
        "{}",
        X_Authorization=call.headers.get("Authorization", ""),
        X_Key=call.headers.get("X-Api-Key", ""),
        X_Url=call.path,
        WWW_Authenticate=f'Basic realm="{call.headers.get("Authorization", "")}"',
    )


def _redirect(call: _Handler, body: str) -> None:
    call.answer(302, "", Location=f"https://elsewhere.example{call.path}&auth={call.headers.get('Authorization', '')}")


def _garbage(call: _Handler, body: str) -> None:
    call.wfile.write(f"what? {call.heard(body)}\r\n\r\n".encode())
    call.close_connection = True


def _cut(call: _Handler, body: str) -> None:
    call.send_response(200)
    call.send_header("Content-Length", "100000")
    call.end_headers()
    call.wfile.write(call.heard(body).encode())
    call.close_connection = True


def _hang(call: _Handler, body: str) -> None:
    call.server.released.wait(60)
    call.close_connection = True


def _token(call: _Handler, body: str) -> None:
    form = parse_qs(body)
    granted = {"access_token": call.server.access_token, "token_type": "Bearer", "expires_in": 300}
    if form.get("grant_type") == ["refresh_token"]:
        granted |= {"refresh_token": call.server.refresh_token, "expires_in": 1}
    call.answer(200, json.dumps(granted))


def _refuse(call: _Handler, body: str) -> None:
    call.answer(401, json.dumps({"error": "invalid_client", "error_description": f"not {call.heard(body)}"}))


def _token_garbage(call: _Handler, body: str) -> None:
    call.answer(200, f"not json: {call.heard(body)}", "text/plain")


_BEHAVIOURS: Final[dict[str, Callable[[_Handler, str], None]]] = {
    "binary": _binary,
    "cut": _cut,
    "echo": _echo,
    "fail": _fail,
    "garbage": _garbage,
    "hang": _hang,
    "headers": _headers,
    "large": _large,
    "redirect": _redirect,
    "refuse": _refuse,
    "token": _token,
    "token-garbage": _token_garbage,
}


@contextlib.contextmanager
def leaky_server(access_token: str, refresh_token: str) -> Iterator[LeakyServer]:
    server = LeakyServer(access_token, refresh_token)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
