"""No connector reaches into the operator's network: refused as egress-denied, and not a packet leaves.

What is stored here has not passed the registry: a template's own checks would refuse many of these addresses.
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from services.executor import app
from services.executor.transport import resolver
from services.executor.transport.aiohttp_transport import AiohttpTransport
from shared.contracts.clock import utc_now
from shared.contracts.errors import DibopError
from shared.contracts.projections import CatalogueVersion
from shared.contracts.template import canonical_json
from shared.messaging.objects import Documents
from tests.integration.executor.egress_tricks import ADDRESSES, NAMES, SPELLINGS, URLS
from tests.integration.executor.world import UNLIMITED, Bus, get, query
from tests.support.fault_server import Call, FaultServer, behaviour

Start = Callable[..., Any]
Address = tuple[Any, ...]


@behaviour("to")
async def send_elsewhere(call: Call) -> bool:
    """`/to?url=…&close=1`: a redirect; the connection ends with it where `close` says so."""
    headers = [("Location", call.arrival.query["url"])]
    if "close" in call.arrival.query:
        headers.append(("Connection", "close"))
    await call.answer(302, headers=tuple(headers))
    return "close" not in call.arrival.query


class Trap:
    """Listens on one port of every address that this machine has."""

    def __init__(self) -> None:
        self._listener = _listen_everywhere()
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]

    def caught(self) -> int:
        """How many connections have arrived since the last look."""
        number = 0
        with suppress(BlockingIOError):
            while True:
                self._listener.accept()[0].close()
                number += 1
        return number

    def close(self) -> None:
        self._listener.close()


def _listen_everywhere() -> socket.socket:
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", 0))


class NameServer:
    """What each name leads to, and which were asked for."""

    def __init__(self) -> None:
        self.answers: dict[str, Sequence[str]] = {}
        self.asked: list[str] = []
        self._next: dict[str, list[Sequence[str]]] = {}

    def rebind(self, host: str, *answers: Sequence[str]) -> None:
        """Let each question for `host` have the next of `answers`."""
        self._next[host] = list(answers)

    async def lookup(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        if self._next.get(host):
            return self._next[host].pop(0)
        if host not in self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return self.answers[host]


@pytest.fixture
def trap() -> Iterator[Trap]:
    made = Trap()
    yield made
    made.close()


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> NameServer:
    """The name server of every executor that is started in the test."""
    made = NameServer()
    monkeypatch.setattr(app, "AiohttpTransport", partial(AiohttpTransport, lookup=made.lookup))
    return made


@pytest.fixture
def connects(monkeypatch: pytest.MonkeyPatch) -> list[Address]:
    """Addresses that this process connects to, by whatever part of it, through Python's sockets."""
    seen: list[Address] = []
    connect = socket.socket.connect

    def look(self: socket.socket, address: Any) -> None:
        seen.append(address)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", look)
    return seen


class Attack:
    """Runs an operation at any base_url, and looks at what has left."""

    def __init__(self, bus: Bus, start: Start, trap: Trap, connects: list[Address], name_server: NameServer) -> None:
        self.trap = trap
        self.connects = connects
        self.name_server = name_server
        self._bus = bus
        self._start = start

    async def run(
        self,
        base_url: str,
        path: str = "/",
        parameters: dict[str, str] | None = None,
        *,
        seconds: float = 20,
        egress_allow: str = "elsewhere.test:1",
    ) -> dict[str, Any]:
        operation = get("run", path, query("url"), query("close"))
        document = {
            "name": "evil", "slug": "evil", "base_url": base_url, "auth_type": "none",
            "operations": [operation], "resilience": UNLIMITED,
        }  # fmt: skip
        digest = await Documents(self._bus.js).put(canonical_json(document))
        await self._bus.enter("evil", [CatalogueVersion("1.0.0", digest, "published", utc_now())])
        await self._start(egress_allow=egress_allow)
        self.connects.clear()
        return await self._bus.execute("evil", "run", parameters, timeout=seconds)

    async def is_denied(self, base_url: str, **options: Any) -> None:
        with pytest.raises(DibopError) as caught:
            await self.run(base_url, **options)
        error = caught.value
        assert (error.code, error.outcome, error.attempts) == ("egress-denied", "not_sent", ())
        assert (self.connects, self.trap.caught()) == ([], 0)


@pytest.fixture
def attack(bus: Bus, start: Start, trap: Trap, connects: list[Address], name_server: NameServer) -> Attack:
    return Attack(bus, start, trap, connects, name_server)


def test_the_suite_is_large() -> None:
    tricks = [*ADDRESSES, *SPELLINGS, *URLS, *(name for name, _, _ in NAMES)]
    assert len(tricks) == len(set(tricks)) >= 150


@pytest.mark.parametrize("host", [*ADDRESSES, *SPELLINGS])
async def test_an_address_is_refused_in_every_spelling(attack: Attack, host: str) -> None:
    await attack.is_denied(f"http://{host}:{attack.trap.port}")
    assert attack.name_server.asked == []


@pytest.mark.parametrize("url", URLS)
async def test_a_url_that_hides_an_address_is_refused(attack: Attack, url: str) -> None:
    await attack.is_denied(url.replace("{port}", str(attack.trap.port)))
    assert attack.name_server.asked == []


@pytest.mark.parametrize(("name", "asked", "answers"), NAMES)
async def test_a_name_that_leads_to_an_address_is_refused(
    attack: Attack, name: str, asked: str, answers: tuple[str, ...]
) -> None:
    attack.name_server.answers[asked] = answers
    await attack.is_denied(f"http://{name}:{attack.trap.port}")
    assert attack.name_server.asked == [asked]


# ---- what is allowed, and how far -------------------------------------------------------------
async def test_the_trap_catches_what_is_allowed(attack: Attack) -> None:
    """Without this the rest would prove nothing."""
    port = attack.trap.port
    with pytest.raises(DibopError) as caught:
        await attack.run(f"http://127.0.0.1:{port}", seconds=0.3, egress_allow=f"127.0.0.1:{port}")
    assert caught.value.code == "upstream-timeout"
    assert (attack.connects, attack.trap.caught()) == ([("127.0.0.1", port)], 1)


@pytest.mark.parametrize("entry", ["127.0.0.1:1", "127.0.0.2:{port}", "[::1]:{port}", "localhost:{port}"])
async def test_an_entry_allows_no_more_than_it_says(attack: Attack, entry: str) -> None:
    entry = entry.replace("{port}", str(attack.trap.port))
    await attack.is_denied(f"http://127.0.0.1:{attack.trap.port}", egress_allow=entry)


LOCATIONS = (
    "http://127.0.0.1:{port}/",
    "http://127.0.0.1:{upstream}@127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "\\\\127.0.0.1:{port}/",
    "http://[::1]:{port}/",
    "http://2130706433:{port}/",
    "http://localhost:{port}/",
    "https://127.0.0.1:{upstream}/",
    "http://inner.test:{upstream}/",
    "file:///etc/passwd",
)


@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize("close", [{}, {"close": "1"}])
async def test_a_redirect_elsewhere_is_the_result_and_nobody_follows_it(
    attack: Attack, upstream: FaultServer, location: str, close: dict[str, str]
) -> None:
    attack.name_server.answers |= {"inner.test": ["127.0.0.1"], "localhost": ["127.0.0.1"]}
    location = location.replace("{port}", str(attack.trap.port)).replace("{upstream}", str(upstream.port))
    result = await attack.run(upstream.url(""), "/to", {"url": location, **close}, egress_allow=f"{upstream.authority}")
    assert (result["status_code"], result["headers"]["location"]) == (302, location)
    assert (attack.connects, attack.trap.caught()) == ([("127.0.0.1", upstream.port)], 0)


async def test_a_redirect_within_the_origin_is_checked_again(
    attack: Attack, upstream: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name leads elsewhere by the time that the redirect is followed."""
    name_server = attack.name_server
    monkeypatch.setattr(resolver, "monotonic", partial(next, itertools.count(step=60)))
    name_server.rebind("api.test", ["127.0.0.1"], ["127.0.0.2"])
    with pytest.raises(DibopError) as caught:
        await attack.run(
            upstream.url("", host="api.test"), "/to", {"url": "/json", "close": "1"}, egress_allow=upstream.authority
        )
    assert caught.value.code == "egress-denied"
    assert name_server.asked == ["api.test", "api.test"]
    assert attack.connects == [("127.0.0.1", upstream.port)]


async def test_a_name_is_resolved_once_and_what_was_checked_is_connected_to(
    attack: Attack, upstream: FaultServer
) -> None:
    attack.name_server.rebind("api.test", ["127.0.0.1"], ["127.0.0.2"])
    result = await attack.run(upstream.url("", host="api.test"), "/json", egress_allow=upstream.authority)
    assert result["status_code"] == 200
    assert attack.name_server.asked == ["api.test"]
    assert attack.connects == [("127.0.0.1", upstream.port)]


@pytest.mark.parametrize("upper", [True, False])
async def test_proxies_of_the_environment_are_not_used(
    attack: Attack, upstream: FaultServer, monkeypatch: pytest.MonkeyPatch, upper: bool
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        value = "" if name == "no_proxy" else f"http://127.0.0.1:{attack.trap.port}"
        monkeypatch.setenv(name.upper() if upper else name, value)
    result = await attack.run(upstream.url(""), "/json", egress_allow=upstream.authority)
    assert result["status_code"] == 200
    assert (attack.connects, attack.trap.caught()) == ([("127.0.0.1", upstream.port)], 0)
