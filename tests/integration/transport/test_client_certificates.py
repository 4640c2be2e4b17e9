"""Client certificates: each on connections of its own, and what follows where a server does not accept one."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from services.executor.domain.client_certificate import client_certificate_of
from services.executor.transport import Transport
from services.executor.transport.client_certificate import ClientCertificate
from services.executor.transport.tls import TlsContexts
from tests.integration.transport.conftest import MakeTransport, Names
from tests.integration.transport.picky_server import PickyServer
from tests.integration.transport.sending import echoed, failure
from tests.support.fault_server import Call, FaultServer, behaviour

MakeServer = Callable[..., Any]
LookAt = Callable[..., ssl.SSLContext]
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@behaviour("peer")
async def peer(call: Call) -> bool:
    """`/peer`: the common name that the client has presented, and the number of its connection."""
    presented = call.writer.get_extra_info("peercert") or {}
    names = dict(part for parts in presented.get("subject", ()) for part in parts)
    return await call.answer_json({"name": names.get("commonName"), "connection": call.arrival.connection})


def presented_by(authority: trustme.CA, name: str) -> ClientCertificate:
    issued = authority.issue_cert(f"{name}@good.test", common_name=name)
    chain = "".join(each.bytes().decode() for each in issued.cert_chain_pems)
    made = client_certificate_of({"client_certificate": chain, "client_key": issued.private_key_pem.bytes().decode()})
    assert made is not None
    return made


@pytest.fixture
def ada(authority: trustme.CA) -> ClientCertificate:
    return presented_by(authority, "ada")


@pytest.fixture
def look_at(authority: trustme.CA, names: Names) -> LookAt:
    """`look_at(mode, version)`: how a server of good.test looks at client certificates."""
    names.addresses["good.test"] = ["127.0.0.1"]

    def make(mode: ssl.VerifyMode, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = version
        context.verify_mode = mode
        authority.configure_trust(context)
        authority.issue_cert("good.test").configure_cert(context)
        return context

    return make


@pytest.fixture
async def serve(look_at: LookAt) -> AsyncIterator[MakeServer]:
    """`await serve(mode, version)`: a server that answers those whom it accepts."""
    async with AsyncExitStack() as stack:

        async def make(mode: ssl.VerifyMode = ssl.CERT_REQUIRED, **version: ssl.TLSVersion) -> FaultServer:
            return await stack.enter_async_context(FaultServer(tls=look_at(mode, **version)))

        yield make


@pytest.fixture(params=VERSIONS)
def picky(request: pytest.FixtureRequest, look_at: LookAt) -> Iterator[PickyServer]:
    """A server that says why it refuses."""
    with PickyServer(look_at(ssl.CERT_REQUIRED, request.param)) as server:
        yield server


@pytest.fixture
def reach(make_transport: MakeTransport, ca_file: Path) -> Callable[[FaultServer], tuple[Transport, str]]:
    """A transport that may reach the server, and the URL of what the server was presented."""

    def make(server: FaultServer) -> tuple[Transport, str]:
        transport = make_transport(f"good.test:{server.port}", ca_file=ca_file)
        return transport, server.url("/peer", host="good.test")

    return make


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_server_that_asks_is_shown_the_certificate(
    serve: MakeServer, reach: Any, ada: ClientCertificate, version: ssl.TLSVersion
) -> None:
    transport, url = reach(await serve(version=version))
    for _ in range(3):
        assert await echoed(transport, url, certificate=ada) == {"name": "ada", "connection": 1}


async def test_no_connection_serves_requests_of_two_certificates(
    serve: MakeServer, reach: Any, ada: ClientCertificate, authority: trustme.CA
) -> None:
    transport, url = reach(await serve(ssl.CERT_OPTIONAL))
    bea = presented_by(authority, "bea")
    expected = {None: None, ada: "ada", bea: "bea"}
    for certificate, name in expected.items():
        assert (await echoed(transport, url, certificate=certificate))["name"] == name
    for certificate, name in list(expected.items()) * 2:
        assert (await echoed(transport, url, certificate=certificate))["name"] == name
    at_once = await asyncio.gather(*(echoed(transport, url, certificate=each) for each in list(expected) * 10))
    assert [answer["name"] for answer in at_once] == list(expected.values()) * 10
    served = {(answer["name"], answer["connection"]) for answer in at_once}
    assert len({connection for _, connection in served}) == len(served)


async def test_the_same_certificate_read_anew_uses_the_same_connection(
    serve: MakeServer, reach: Any, ada: ClientCertificate
) -> None:
    transport, url = reach(await serve())
    await echoed(transport, url, certificate=ada)
    assert (await echoed(transport, url, certificate=replace(ada)))["connection"] == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_certificate_of_an_authority_that_the_server_does_not_know_is_told(
    picky: PickyServer, make_transport: MakeTransport, ca_file: Path, method: str
) -> None:
    transport = make_transport(f"good.test:{picky.port}", ca_file=ca_file)
    eve = presented_by(trustme.CA(), "eve")
    error = await failure(transport, f"https://good.test:{picky.port}/", method=method, certificate=eve)
    assert (error.phase, error.sent) == ("client_certificate", False)
    assert "its authority is not known there" in error.detail
    assert picky.received == b""


async def test_a_missing_certificate_is_told(picky: PickyServer, make_transport: MakeTransport, ca_file: Path) -> None:
    transport = make_transport(f"good.test:{picky.port}", ca_file=ca_file)
    error = await failure(transport, f"https://good.test:{picky.port}/")
    # Before TLS 1.3 there is no word for it: the handshake failed.
    told = {
        "client_certificate": "wants a client certificate, and the connection has none",
        "tls": "whether it asks for a client certificate",
    }
    assert told[error.phase] in error.detail
    assert error.sent is False
    assert picky.received == b""


async def test_a_certificate_that_has_expired_since_opens_no_connection(
    serve: MakeServer, reach: Any, ada: ClientCertificate
) -> None:
    server = await serve()
    transport, url = reach(server)
    error = await failure(transport, url, certificate=replace(ada, expires=1.0))
    assert (error.phase, error.sent) == ("client_certificate", False)
    assert "it has expired" in error.detail
    assert server.connections == 0


async def test_plain_http_presents_nothing_and_is_refused(
    transport: Transport, upstream: FaultServer, ada: ClientCertificate
) -> None:
    error = await failure(transport, upstream.url("/peer"), certificate=ada)
    assert (error.phase, error.sent) == ("client_certificate", False)
    assert upstream.connections == 0


async def test_an_error_on_a_connection_that_has_answered_says_nothing_of_the_certificate(
    serve: MakeServer, reach: Any, ada: ClientCertificate
) -> None:
    server = await serve()
    transport, _ = reach(server)
    await echoed(transport, server.url("/peer", host="good.test"), certificate=ada)
    error = await failure(transport, server.url("/close-without-answer", host="good.test"), certificate=ada)
    assert (error.phase, error.sent) == ("receiving", True)


# ---- the key ----------------------------------------------------------------------------------
def open_files() -> list[str]:
    """What this process has open, by name."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(str(descriptor.readlink()))
    return found


async def test_the_key_is_handed_over_in_memory_and_stays_in_no_file(
    ada: ClientCertificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[str, bytes]] = []

    class Context(ssl.SSLContext):
        def load_cert_chain(self, certfile: Any, keyfile: Any = None, password: Any = None) -> None:
            given.extend((str(Path(path).readlink()), Path(path).read_bytes()) for path in (certfile, keyfile))
            super().load_cert_chain(certfile, keyfile)

    monkeypatch.setattr(ssl, "create_default_context", lambda: Context(ssl.PROTOCOL_TLS_CLIENT))
    contexts = TlsContexts()
    await contexts.of(ada)
    assert [content for _, content in given] == [ada.chain, ada.key]
    assert all(place.startswith("/memfd:") for place, _ in given)
    assert not any("client-certificate" in place for place in open_files())


async def test_a_context_is_made_once_and_few_are_kept(ada: ClientCertificate, authority: trustme.CA) -> None:
    contexts, bea = TlsContexts(size=1), presented_by(authority, "bea")
    first, second = await asyncio.gather(contexts.of(ada), contexts.of(replace(ada)))
    assert first is second
    await contexts.of(bea)
    assert await contexts.of(ada) is not first


async def test_a_key_that_openssl_does_not_take_is_told_and_tried_again_next_time(
    serve: MakeServer, reach: Any, ada: ClientCertificate, authority: trustme.CA
) -> None:
    transport, url = reach(await serve())
    other = replace(ada, key=presented_by(authority, "bea").key)
    for _ in range(2):
        error = await failure(transport, url, certificate=other)
        assert (error.phase, error.sent) == ("client_certificate", False)
        assert "cannot be presented to good.test" in error.detail


async def test_tls_is_1_2_or_later_and_an_operators_authorities_are_trusted_besides_the_systems(ca_file: Path) -> None:
    system, both = await TlsContexts().of(None), await TlsContexts(ca_file).of(None)
    assert system.minimum_version == ssl.TLSVersion.TLSv1_2
    assert both.cert_store_stats()["x509_ca"] == system.cert_store_stats()["x509_ca"] + 1
    assert (system.verify_mode, system.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_what_a_certificate_shows_of_itself_holds_no_key(ada: ClientCertificate) -> None:
    assert b"PRIVATE KEY" in ada.key
    load_pem_private_key(ada.key, None)
    assert "PRIVATE" not in repr(ada)
    assert "PRIVATE" not in str(ada)
