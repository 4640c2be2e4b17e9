"""Names and addresses: what a connection is opened to."""

from __future__ import annotations

import asyncio

import pytest

from services.executor.transport import Transport
from tests.integration.transport.conftest import MakeTransport, Names
from tests.integration.transport.sending import echoed, failure
from tests.support.fault_server import FaultServer


async def test_a_refused_connection_is_not_sent(make_transport: MakeTransport, free_port: int) -> None:
    transport = make_transport(f"127.0.0.1:{free_port}")
    called = []
    error = await failure(
        transport, f"http://127.0.0.1:{free_port}/", before_send=lambda: called.append(1), method="POST"
    )
    assert (error.phase, error.sent, error.status) == ("connect", False, None)
    assert not called


async def test_a_name_without_address_is_not_sent(transport: Transport) -> None:
    error = await failure(transport, "http://unknown.test/path?token=hidden")
    assert (error.phase, error.sent) == ("resolve", False)
    assert "unknown.test" in error.detail
    assert "hidden" not in error.detail


async def test_a_name_is_resolved_once_and_kept_in_the_host_header(
    make_transport: MakeTransport, upstream: FaultServer, names: Names
) -> None:
    names.addresses["api.test"] = ["127.0.0.1"]
    transport = make_transport(f"api.test:{upstream.port}")
    echoes = await asyncio.gather(*(echoed(transport, upstream.url("/echo", host="API.test")) for _ in range(10)))
    assert {echo["headers"]["host"] for echo in echoes} == {f"api.test:{upstream.port}"}
    assert names.asked == ["api.test"]


async def test_an_international_name_is_encoded(
    make_transport: MakeTransport, upstream: FaultServer, names: Names
) -> None:
    names.addresses["xn--bcher-kva.test"] = ["127.0.0.1"]
    transport = make_transport(f"bücher.test:{upstream.port}")
    echo = await echoed(transport, upstream.url("/echo", host="bücher.test"))
    assert echo["headers"]["host"] == f"xn--bcher-kva.test:{upstream.port}"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "0177.0.0.1", "0x7f.1", "127.1", "[::1]", "[::ffff:127.0.0.1]", "inner.test"]
)
async def test_an_internal_address_is_refused_in_every_spelling(
    make_transport: MakeTransport, upstream: FaultServer, names: Names, host: str
) -> None:
    names.addresses["inner.test"] = ["127.0.0.1"]
    transport = make_transport("elsewhere.test:1")
    called = []
    error = await failure(transport, upstream.url("/json", host=host), before_send=lambda: called.append(1))
    assert (error.phase, error.sent) == ("egress", False)
    assert upstream.connections == 0
    assert not called


async def test_one_internal_address_among_public_ones_refuses_the_name(
    make_transport: MakeTransport, upstream: FaultServer, names: Names
) -> None:
    names.addresses["mixed.test"] = ["93.184.216.34", "127.0.0.1"]
    transport = make_transport("elsewhere.test:1")
    assert (await failure(transport, upstream.url("/json", host="mixed.test"))).phase == "egress"
