"""A TLS server that is asked to refuse client certificates, and says why, as servers other than asyncio's do."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import Self


class PickyServer:
    """Shakes hands with one client after another in a thread of its own; a context manager.

    `received` is what it has decrypted of the clients that it accepted.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self.port: int = self._listener.getsockname()[1]
        self.received = b""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError):
                self._shake_hands(client)

    def _shake_hands(self, client: socket.socket) -> None:
        client.settimeout(20)
        with self._context.wrap_socket(client, server_side=True, do_handshake_on_connect=False) as encrypted:
            try:
                encrypted.do_handshake()
                self.received += encrypted.recv(65536)
            except ssl.SSLError:
                # Reading on until the client leaves: a close at once would be a reset, which overtakes the alert.
                encrypted.shutdown(socket.SHUT_WR)
                while encrypted.recv(65536):
                    pass
