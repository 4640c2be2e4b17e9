"""TLS to NATS: asked for by files or address, checked, and never done without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from dibop.bus import Bus
from dibop.context import Context
from dibop.errors import BusUnreachableError as ClientUnreachableError
from shared.messaging.access.authority import tls_config
from shared.messaging.connection import BusUnreachableError, connect
from shared.settings import BusSettings
from tests.support.servers import NatsServer

Serve = Callable[..., NatsServer]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`ca.pem`, a server's and a client's certificate of it, and `other.pem`, an authority of nobody here."""
    directory, ca = tmp_path_factory.mktemp("tls"), trustme.CA()
    ca.cert_pem.write_to_path(directory / "ca.pem")
    trustme.CA().cert_pem.write_to_path(directory / "other.pem")
    for name, host in (("server", "127.0.0.1"), ("elsewhere", "nats.example"), ("client", "client.example")):
        issued = ca.issue_cert(host)
        issued.private_key_and_cert_chain_pem.write_to_path(directory / f"{name}.pem")
    return directory


@pytest.fixture
def serve(files: Path, tmp_path: Path) -> Iterator[Serve]:
    started: list[NatsServer] = []

    def start(certificate: str = "server", *, client_ca: str | None = None) -> NatsServer:
        pem = files / f"{certificate}.pem"
        block = tls_config(pem, pem, files / client_ca if client_ca else None)
        started.append(NatsServer(tmp_path / "nats", block).start())
        return started[-1]

    yield start
    for server in started:
        server.stop()


async def reaches(settings: BusSettings) -> bool:
    client = await connect(settings, name="tls", wait_seconds=1)
    await client.flush()
    await client.close()
    return True


async def test_a_server_of_the_given_authority_is_spoken_to(serve: Serve, files: Path) -> None:
    server = serve()

    assert await reaches(BusSettings(nats_url=server.url, nats_tls_ca=files / "ca.pem"))


async def test_the_command_lines_bus_speaks_tls_too(serve: Serve, files: Path) -> None:
    server = serve(client_ca="ca.pem")
    context = Context(
        server.url,
        "local",
        nats_tls_ca=files / "ca.pem",
        nats_tls_cert=files / "client.pem",
        nats_tls_key=files / "client.pem",
    )
    bus = Bus(context, name="tls")

    await bus.open(2)

    assert await bus.round_trip() > 0
    await bus.close()


@pytest.mark.parametrize(("certificate", "ca"), [("server", "other.pem"), ("elsewhere", "ca.pem"), ("server", None)])
async def test_a_certificate_of_another_authority_or_name_is_refused(
    serve: Serve, files: Path, certificate: str, ca: str | None
) -> None:
    server = serve(certificate)
    settings = BusSettings(nats_url=server.url, nats_tls_ca=files / ca if ca else None)

    with pytest.raises(BusUnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
        await reaches(settings)


async def test_a_client_shows_its_certificate_where_the_server_wants_one(serve: Serve, files: Path) -> None:
    server = serve(client_ca="ca.pem")
    anonymous = BusSettings(nats_url=server.url, nats_tls_ca=files / "ca.pem")
    known = anonymous.model_copy(update={"nats_tls_cert": files / "client.pem", "nats_tls_key": files / "client.pem"})

    assert await reaches(known)
    with pytest.raises(BusUnreachableError):
        await reaches(anonymous)


@pytest.mark.parametrize("scheme", ["nats", "tls"])
async def test_without_tls_nothing_is_sent_to_a_server_that_must_have_it(
    tmp_path: Path, files: Path, scheme: str
) -> None:
    server = NatsServer(tmp_path / "plain").start()
    url = server.url.replace("nats:", f"{scheme}:")
    ca = files / "ca.pem" if scheme == "nats" else None

    with pytest.raises(BusUnreachableError, match="offers no TLS"):
        await reaches(BusSettings(nats_url=url, nats_tls_ca=ca))
    with pytest.raises(ClientUnreachableError, match="offers no TLS"):
        await Bus(Context(url, "local", nats_tls_ca=ca), name="tls").open(1)
    server.stop()


async def test_files_that_are_none_are_told_with_their_settings(tmp_path: Path) -> None:
    settings = BusSettings(nats_url="tls://127.0.0.1:1", nats_tls_ca=tmp_path / "missing.pem")

    with pytest.raises(BusUnreachableError, match="DIBOP_NATS_TLS_CA"):
        await connect(settings, name="tls", wait_seconds=1)
