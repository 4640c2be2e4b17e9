"""A server in a thread of its own, so that it can act while the test's event loop stands still."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Self


class FickleServer:
    """Answers each connection's first request with the connection's number. `turn_on_the_client` then makes
    it say `words` unasked on the first connection, or close it where there are none.
    """

    def __init__(self, words: bytes) -> None:
        self._words = words
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._go = threading.Event()
        self._gone = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def turn_on_the_client(self) -> None:
        """Return when the words, or the close, have left for the client."""
        self._go.set()
        assert self._gone.wait(10)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._go.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        first = self._answer(1)
        self._go.wait(10)
        if self._words:
            first.sendall(self._words)
        else:
            first.close()
        self._gone.set()
        try:
            self._answer(2).close()
        except OSError:
            pass  # the test ended without a second connection
        finally:
            first.close()

    def _answer(self, number: int) -> socket.socket:
        connection, _ = self._listener.accept()
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(65536)
        body = f"connection {number}".encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        return connection
