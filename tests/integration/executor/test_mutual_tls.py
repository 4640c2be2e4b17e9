"""A connection that presents a client certificate, from the sealed key to the external system."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.integration.executor.world import Bus, get
from tests.support.fault_server import FaultServer

Start = Callable[..., Any]
FIELDS = {"client_certificate": {"label": "Certificate"}, "client_key": {"label": "Key"}}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def portal(authority: trustme.CA) -> AsyncIterator[FaultServer]:
    """A server that answers nobody without a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with FaultServer(tls=context) as server:
        yield server


@pytest.fixture
async def ready(bus: Bus, start: Start, portal: FaultServer, authority: trustme.CA, tmp_path: Path) -> Bus:
    """The bus, with an executor that trusts the server's authority and may reach the server."""
    ca_file = tmp_path / "authorities.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    await start(egress_allow=portal.authority, egress_ca_file=ca_file)
    auth: dict[str, Any] = {
        "auth_type": "api_key",
        "credential_schema": {"api_key": {"label": "Key", "type": "password"}, **FIELDS},
    }
    await bus.publish("portal", get("run", "/echo"), base_url=portal.url(""), **auth)
    return bus


def pair(authority: trustme.CA) -> tuple[str, str]:
    issued = authority.issue_cert("ada@example.com")
    return issued.cert_chain_pems[0].bytes().decode(), issued.private_key_pem.bytes().decode()


async def test_a_sealed_key_is_presented_with_its_certificate(
    ready: Bus, portal: FaultServer, authority: trustme.CA
) -> None:
    certificate, key = pair(authority)
    secrets = {"api_key": "k", "client_key": key}
    await ready.connect("portal", secrets, {"client_certificate": certificate}, origin=portal.url(""))
    result = await ready.execute("portal", "run")
    assert result["status_code"] == 200
    assert [arrival.headers["x-api-key"] for arrival in portal.arrivals] == ["k"]


async def test_a_key_of_another_certificate_is_refused_before_anything_is_sent(
    ready: Bus, portal: FaultServer, authority: trustme.CA
) -> None:
    (certificate, _), (_, key) = pair(authority), pair(authority)
    secrets = {"api_key": "k", "client_key": key}
    await ready.connect("portal", secrets, {"client_certificate": certificate}, origin=portal.url(""))
    error = await ready.refused("portal", "run")
    assert error.code == "credentials-rejected"
    assert "'client_key' is not the key of the first certificate" in error.detail
    assert portal.connections == 0
