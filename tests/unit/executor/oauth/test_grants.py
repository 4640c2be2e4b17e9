"""Refresh tokens in use: each once, the successor stored, and claimed where no lock keeps others away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

import pytest

from services.executor.domain.oauth import TokenClient
from services.executor.oauth import grants
from services.executor.oauth.answers import Granted, RefusedError
from services.executor.oauth.counters import OAuthCounters
from services.executor.oauth.grants import RefreshToken, SupersededError, TokenGrants
from shared.contracts.errors import DibopError
from tests.support.polling import eventually
from tests.unit.executor.oauth.clients import client

CLIENT = client(grant="authorization_code")


@dataclass
class Store:
    """The registry: compare-and-set. `before` runs once, just before a token is stored."""

    token: RefreshToken | None = field(default_factory=lambda: RefreshToken("r0", 1))
    claims: int = 0
    looks: int = 0
    before: Callable[[], None] | None = None

    async def latest(self, _client: TokenClient) -> RefreshToken | None:
        self.looks += 1
        return self.token

    async def store(
        self, _client: TokenClient, value: str, *, expected: int, scopes: str | None = None, claimed: bool = False
    ) -> int:
        before, self.before = self.before, None
        if before is not None:
            before()
        await asyncio.sleep(0)
        if self.token is None or self.token.generation != expected:
            raise SupersededError
        self.claims += claimed
        self.token = RefreshToken(value, expected + 1, claimed)
        return expected + 1


@dataclass
class Endpoint:
    """Gives each refresh token a successor, and refuses one that comes twice."""

    rotates: bool = True
    error: Exception | None = None
    used: list[str] = field(default_factory=list)
    before: Callable[[], None] | None = None

    async def refresh(self, _client: TokenClient, refresh_token: str, *, deadline: float) -> Granted:
        before, self.before = self.before, None
        if before is not None:
            before()
        await asyncio.sleep(0.01)
        if self.error is not None:
            raise self.error
        if self.rotates and refresh_token in self.used:
            raise RefusedError("invalid_grant")
        self.used.append(refresh_token)
        return Granted(f"a{len(self.used)}", 60.0, f"r{len(self.used)}" if self.rotates else None)


def worker(store: Store, endpoint: Endpoint) -> TokenGrants:
    return TokenGrants(endpoint, store, OAuthCounters())  # type: ignore[arg-type]  # a stand-in


async def grant(worker: TokenGrants, *, alone: bool = False, seconds: float = 5.0) -> tuple[str, int]:
    granted, generation = await worker.grant(CLIENT, deadline=monotonic() + seconds, alone=alone)
    return granted.access_token, generation


async def test_the_successor_is_stored() -> None:
    store, endpoint = Store(), Endpoint()
    assert await grant(worker(store, endpoint)) == ("a1", 2)
    assert store.token == RefreshToken("r1", 2)


async def test_without_rotation_nothing_is_stored() -> None:
    store, endpoint = Store(), Endpoint(rotates=False)
    assert await grant(worker(store, endpoint)) == ("a1", 1)
    assert store.token == RefreshToken("r0", 1)


async def test_a_token_that_another_has_stored_meanwhile_is_the_one() -> None:
    store, endpoint = Store(), Endpoint()
    store.before = lambda: setattr(store, "token", RefreshToken("newer", 2))
    assert await grant(worker(store, endpoint)) == ("a2", 3)
    assert endpoint.used == ["r0", "newer"]


async def test_a_refusal_of_a_token_that_was_followed_meanwhile_is_none() -> None:
    store, endpoint = Store(), Endpoint(used=["r0"])
    endpoint.before = lambda: setattr(store, "token", RefreshToken("newer", 2))
    assert (await grant(worker(store, endpoint)))[1] == 3


async def test_a_refusal_of_the_token_that_is_stored_is_one() -> None:
    with pytest.raises(RefusedError):
        await grant(worker(Store(), Endpoint(error=RefusedError("invalid_grant"))))


async def test_who_is_not_authorized_is_told_how() -> None:
    with pytest.raises(DibopError, match="dibop connection authorize shop") as caught:
        await grant(worker(Store(None), Endpoint()))
    assert caught.value.code == "credentials-rejected"


async def test_an_authorization_that_changes_all_the_time_ends_in_a_conflict() -> None:
    store, endpoint = Store(), Endpoint()

    async def latest(_client: TokenClient) -> RefreshToken | None:
        store.token = RefreshToken(f"x{len(endpoint.used)}", store.token.generation + 5 if store.token else 1)
        return RefreshToken(store.token.value, store.token.generation - 1)

    store.latest = latest  # type: ignore[method-assign]  # a registry that nobody can keep up with
    with pytest.raises(DibopError) as caught:
        await grant(worker(store, endpoint))
    assert caught.value.code == "conflict"


async def test_workers_without_a_lock_use_each_token_once() -> None:
    store, endpoint = Store(), Endpoint()
    granted = await asyncio.gather(*(grant(worker(store, endpoint), alone=True) for _ in range(4)))
    assert len({token for token, _ in granted}) == 4
    assert endpoint.used == ["r0", "r1", "r2", "r3"]
    assert (store.token, store.claims) == (RefreshToken("r4", 9), 4)


@pytest.mark.parametrize("rotates", [True, False])
async def test_a_claim_ends_with_its_request(rotates: bool) -> None:
    store, endpoint = Store(), Endpoint(rotates=rotates)
    await grant(worker(store, endpoint), alone=True)
    assert store.token == RefreshToken("r1" if rotates else "r0", 3)


async def test_a_claim_ends_with_its_request_that_fails() -> None:
    store, endpoint = Store(), Endpoint(error=DibopError("upstream-unreachable", "Not there."))
    with pytest.raises(DibopError, match="Not there"):
        await grant(worker(store, endpoint), alone=True)
    assert store.token == RefreshToken("r0", 3)


async def test_who_has_the_lock_leaves_a_claimed_token_alone_as_well() -> None:
    store, endpoint = Store(RefreshToken("r0", 2, claimed=True)), Endpoint()
    waiting = asyncio.ensure_future(grant(worker(store, endpoint)))
    await eventually(lambda: store.looks >= 3)
    assert endpoint.used == []
    store.token = RefreshToken("followed", 3)
    assert (await waiting)[1] == 4


async def test_a_claim_whose_worker_has_died_is_over_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grants, "CLAIM_SECONDS", 0.05)
    store, endpoint = Store(RefreshToken("r0", 2, claimed=True)), Endpoint(rotates=False)
    assert await grant(worker(store, endpoint)) == ("a1", 3)
    assert store.token == RefreshToken("r0", 3), "the claim is no more"


async def test_a_claimed_token_is_waited_for_no_longer_than_the_deadline() -> None:
    with pytest.raises(DibopError) as caught:
        await grant(worker(Store(RefreshToken("r0", 2, claimed=True)), Endpoint()), seconds=0.05)
    assert caught.value.code == "deadline-exceeded"
