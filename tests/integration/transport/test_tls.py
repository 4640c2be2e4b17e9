"""TLS: whom a transport trusts, and how it presents itself."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.integration.transport.conftest import MakeTransport, Names
from tests.integration.transport.sending import echoed, failure
from tests.support.fault_server import FaultServer


async def test_a_trusted_certificate_for_the_name_is_accepted(
    make_transport: MakeTransport, tls_upstream: FaultServer, names: Names, ca_file: Any
) -> None:
    names.addresses["good.test"] = ["127.0.0.1"]
    transport = make_transport(f"good.test:{tls_upstream.port}", ca_file=ca_file)
    for _ in range(3):
        echo = await echoed(transport, tls_upstream.url("/echo", host="good.test"))
        assert echo["headers"]["host"] == f"good.test:{tls_upstream.port}"
    assert tls_upstream.connections == 1


async def test_a_certificate_for_another_name_is_refused(
    make_transport: MakeTransport, tls_upstream: FaultServer, names: Names, ca_file: Any
) -> None:
    names.addresses["other.test"] = ["127.0.0.1"]
    transport = make_transport(f"other.test:{tls_upstream.port}", ca_file=ca_file)
    error = await failure(transport, tls_upstream.url("/echo", host="other.test"))
    assert (error.phase, error.sent) == ("certificate", False)
    assert tls_upstream.arrivals == []


async def test_an_untrusted_authority_is_refused(
    make_transport: MakeTransport, tls_upstream: FaultServer, names: Names
) -> None:
    names.addresses["good.test"] = ["127.0.0.1"]
    transport = make_transport(f"good.test:{tls_upstream.port}")
    error = await failure(transport, tls_upstream.url("/echo", host="good.test"))
    assert (error.phase, error.sent) == ("certificate", False)


async def test_tls_towards_a_plain_port_fails_in_the_handshake(make_transport: MakeTransport) -> None:
    async def speak_plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 This is no TLS\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(speak_plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        transport = make_transport(f"127.0.0.1:{port}")
        error = await failure(transport, f"https://127.0.0.1:{port}/")
    assert (error.phase, error.sent) == ("tls", False)
