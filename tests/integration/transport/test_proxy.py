"""The operator's proxy: who goes through it, what it is told, and what is said when it does not let through."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from services.executor.transport import Transport, TransportTimeout
from services.executor.transport.aiohttp_transport import AiohttpTransport
from services.executor.transport.egress import EgressPolicy
from services.executor.transport.proxy import Proxy
from tests.integration.transport.conftest import Names
from tests.integration.transport.connect_proxy import HALF_A_HEAD, ConnectProxy
from tests.integration.transport.sending import echoed, failure
from tests.support.fault_server import FaultServer

PUBLIC = "93.184.216.34"
Behind = Callable[..., Transport]


@pytest.fixture
async def proxy() -> AsyncIterator[ConnectProxy]:
    async with ConnectProxy() as proxy:
        yield proxy


@pytest.fixture
async def behind(proxy: ConnectProxy, names: Names, ca_file: Path) -> AsyncIterator[Behind]:
    """`behind(allow, resolves=…)`: a transport that goes out through the proxy."""
    made: list[Transport] = []

    def make(allow: str = "", credentials_file: Path | None = None, *, resolves: bool = False) -> Transport:
        transport = AiohttpTransport(
            EgressPolicy.parse(allow),
            ca_file=ca_file,
            proxy=Proxy.parse(proxy.url, credentials_file, resolves=resolves),
            lookup=names.lookup,
        )
        made.append(transport)
        return transport

    yield make
    for transport in made:
        await transport.aclose()


async def test_requests_go_through_a_tunnel_to_the_address_that_was_checked(
    behind: Behind, proxy: ConnectProxy, upstream: FaultServer, names: Names
) -> None:
    names.addresses["api.test"] = [PUBLIC]
    proxy.leads = {f"{PUBLIC}:80": upstream.port}
    transport = behind()
    for _ in range(3):
        assert (await echoed(transport, "http://api.test/echo"))["headers"]["host"] == "api.test"
    assert (proxy.asked, proxy.credentials) == ([f"{PUBLIC}:80"], [None])
    assert upstream.connections == 1


async def test_tls_is_spoken_with_the_system_itself(
    behind: Behind, proxy: ConnectProxy, tls_upstream: FaultServer, names: Names
) -> None:
    names.addresses["good.test"] = names.addresses["other.test"] = ["2606:4700:4700::1111"]
    proxy.leads = {"[2606:4700:4700::1111]:443": tls_upstream.port}
    transport = behind()
    assert (await echoed(transport, "https://good.test/echo"))["path"] == "/echo"
    error = await failure(transport, "https://other.test/echo")
    assert (error.phase, error.sent) == ("certificate", False)


async def test_internal_addresses_never_reach_the_proxy(behind: Behind, proxy: ConnectProxy, names: Names) -> None:
    names.addresses["inner.test"] = ["10.0.0.1"]
    transport = behind()
    for host in ("127.0.0.1", "inner.test", "[::ffff:10.0.0.1]", "2130706433"):
        assert (await failure(transport, f"http://{host}/")).phase == "egress"
    assert proxy.asked == []


async def test_what_the_operator_allows_is_reached_without_the_proxy(
    behind: Behind, proxy: ConnectProxy, upstream: FaultServer, names: Names
) -> None:
    names.addresses["inner.test"] = ["127.0.0.1"]
    for allow in (upstream.authority, f"inner.test:{upstream.port}"):
        await echoed(behind(allow), upstream.url("/echo", host="inner.test"))
    await echoed(behind(f"inner.test:{upstream.port}", resolves=True), upstream.url("/echo", host="inner.test"))
    assert proxy.asked == []


async def test_a_proxy_that_resolves_is_told_the_name(
    behind: Behind, proxy: ConnectProxy, upstream: FaultServer, names: Names
) -> None:
    proxy.leads = {"api.test:80": upstream.port}
    transport = behind(resolves=True)
    assert (await echoed(transport, "http://API.test/echo"))["path"] == "/echo"
    assert (proxy.asked, names.asked) == (["api.test:80"], [])
    assert (await failure(transport, "http://127.0.0.1/")).phase == "egress"


async def test_every_address_of_a_name_is_tried(
    behind: Behind, proxy: ConnectProxy, upstream: FaultServer, names: Names
) -> None:
    names.addresses["api.test"] = ["1.0.0.1", PUBLIC]
    proxy.leads = {f"{PUBLIC}:80": upstream.port}
    assert (await echoed(behind(), "http://api.test/echo"))["path"] == "/echo"
    assert proxy.asked == ["1.0.0.1:80", f"{PUBLIC}:80"]


async def test_the_proxy_alone_sees_its_credentials(
    behind: Behind, proxy: ConnectProxy, upstream: FaultServer, names: Names, tmp_path: Path
) -> None:
    names.addresses["api.test"] = [PUBLIC]
    proxy.leads = {f"{PUBLIC}:80": upstream.port}
    file = tmp_path / "proxy"
    file.write_text("ada:s3cret:word\n")
    echo = await echoed(behind("", file), "http://api.test/echo")
    assert proxy.credentials == [f"Basic {base64.b64encode(b'ada:s3cret:word').decode()}"]
    assert "proxy-authorization" not in echo["headers"]
    assert "YWRh" not in repr(Proxy.parse(proxy.url, file))


@pytest.mark.parametrize(
    ("words", "phase", "said"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "egress", "does not let connections to api.test:80 through"),
        (b"HTTP/1.1 407 Who are you\r\n\r\n", "connect", "refuses its credentials"),
        (b"HTTP/1.0 504\r\n\r\n", "connect", "answered with status 504"),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "connect", "no answer to CONNECT"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "connect", "no answer to CONNECT"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "connect", "no answer to CONNECT"),
        (b"x" * 20_000, "connect", "no answer to CONNECT"),
        (HALF_A_HEAD, "connect", "it closed the connection"),
    ],
)
async def test_a_proxy_that_opens_no_tunnel_is_told_of(
    behind: Behind, proxy: ConnectProxy, names: Names, words: bytes, phase: str, said: str
) -> None:
    names.addresses["api.test"] = [PUBLIC]
    proxy.words = words
    error = await failure(behind(), "http://api.test/path?token=hidden", method="POST")
    assert (error.phase, error.sent) == (phase, False)
    assert said in error.detail
    assert "hidden" not in error.detail


async def test_a_proxy_that_is_away_is_told_of(names: Names, free_port: int) -> None:
    names.addresses["api.test"] = [PUBLIC]
    transport = AiohttpTransport(proxy=Proxy.parse(f"http://127.0.0.1:{free_port}"), lookup=names.lookup)
    error = await failure(transport, "http://api.test/")
    assert (error.phase, error.sent) == ("connect", False)
    assert "The proxy on the way to api.test:80 cannot be reached" in error.detail
    await transport.aclose()


async def test_a_proxy_that_says_nothing_is_waited_for_no_longer_than_the_limit(names: Names) -> None:
    names.addresses["api.test"] = [PUBLIC]
    async with ConnectProxy(silent=True) as proxy:
        transport = AiohttpTransport(proxy=Proxy.parse(proxy.url), lookup=names.lookup)
        error = await failure(transport, "http://api.test/", seconds=0.2)
        await transport.aclose()
    assert isinstance(error, TransportTimeout)
    assert (error.phase, error.sent) == ("connect", False)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("proxy:3128", "not an http"),
        ("https://proxy:3128", "Write it as http://proxy.example:3128"),
        ("socks5://proxy:1080", "not an http"),
        ("http://ada:s3cret@proxy:3128", "a file of their own"),
        ("http://proxy:3128/path", "Write it as"),
        ("http://proxy:0", "not a number from 1"),
    ],
)
def test_an_address_that_is_no_proxys_is_refused(url: str, problem: str) -> None:
    with pytest.raises(ValueError, match="not the address of a proxy") as caught:
        Proxy.parse(url)
    assert problem in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"s3cret", b"ada:s3\ncret", b"\xff:s3cret"])
def test_credentials_that_cannot_be_read_are_refused(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "proxy"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match="credentials") as caught:
        Proxy.parse("http://proxy:3128", file)
    assert "s3" not in str(caught.value).replace(str(file), "")
