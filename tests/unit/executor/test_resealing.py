"""Resealing: everything comes over to the active key as it was, whatever changes or fails meanwhile."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.executor.fleet import keys_of
from services.executor.keys import LiveRing
from services.executor.registry import RegistryClient
from services.executor.resealing import Resealer
from shared.contracts.commands import ConnectionResealed, ResealConnection, Resealed
from shared.contracts.errors import DibopError
from shared.contracts.projections import ConnectionEntry, StoredToken
from shared.files import write_private
from shared.security.sealing import KeyRing, SealContext

ORIGIN = "https://api.example.com:443"
OLD = KeyRing.generate()
RING = OLD.with_next().switched()


def identifier(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def context(name: str, use: Any = "connection") -> SealContext:
    return SealContext(use, "acme", "platform", "shop", identifier(name), ORIGIN)


def entry(name: str, ring: KeyRing = OLD, *, token: bool = False, **changes: Any) -> ConnectionEntry:
    key = ring.sealing_key
    made = ConnectionEntry(
        identifier(name), "acme", "shop", "platform", name, 1, "^1", ORIGIN, key.kid, {"account": "a"},
        key.seal_all({"api_key": f"secret-{name}", "pin": "1234"}, context(name)),
    )  # fmt: skip
    if token:
        sealed = key.seal(f"token-{name}", context(name, "token").for_field("refresh_token"))
        made = msgspec.structs.replace(made, token=StoredToken(3, key.kid, sealed))
    return msgspec.structs.replace(made, **changes)


class World(RegistryClient):
    """The connections as KV and the registry have them. `mirror` is what the worker knows; `refusals` come by name."""

    def __init__(self, *entries: ConnectionEntry) -> None:
        self.entries = {f"acme.shop.{each.name}": each for each in entries}
        self.mirror = dict(self.entries)
        self.refusals: dict[str, DibopError] = {}
        self.dropped: list[str] = []

    def under(self, prefix: str) -> Iterator[tuple[str, ConnectionEntry]]:
        return iter([each for each in self.mirror.items() if each[0].startswith(prefix)])

    async def fetch(self, key: str) -> ConnectionEntry | None:
        return self.mirror.get(key)

    async def read(self, key: str) -> ConnectionEntry | None:
        return self.entries.get(key)

    async def drop(self, active: str) -> int:
        self.dropped.append(active)
        return 0

    async def reseal(
        self, enterprise: str, command: ResealConnection, *, request_id: str | None = None
    ) -> ConnectionResealed:
        key = f"{enterprise}.{command.connector}.{command.name}"
        if command.name in self.refusals:
            raise self.refusals[command.name]
        present = self.entries[key]
        assert present.generation == command.generation
        token = present.token
        if command.token is not None and token is not None:
            token = StoredToken(token.generation, command.token.kid, command.token.sealed)
        changed = msgspec.structs.replace(present, generation=present.generation + 1, token=token)
        if command.sealed:
            changed = msgspec.structs.replace(changed, kid=command.kid, sealed=command.sealed)
        self.entries[key] = self.mirror[key] = changed
        return ConnectionResealed(generation=changed.generation)


@pytest.fixture
def ring(tmp_path: Path) -> LiveRing:
    write_private(tmp_path / "ring.json", RING.dump())
    return LiveRing(tmp_path / "ring.json")


async def reseal(ring: LiveRing, world: World, limit: int = 100, kid: str = RING.active) -> Resealed:
    return await Resealer(ring, world, world, world).reseal(kid, limit=limit, request_id="r")


async def test_credentials_and_tokens_come_over_as_they_were(ring: LiveRing) -> None:
    world = World(entry("a", token=True), entry("b"), entry("new", RING), entry("none", kid="", sealed={}))
    untouched = world.entries["acme.shop.new"], world.entries["acme.shop.none"]

    done = await reseal(ring, world)

    assert (done.kid, done.resealed, done.remaining, done.failed) == (RING.active, 2, 0, [])
    new_ring = RING.without(OLD.active)
    a = world.entries["acme.shop.a"]
    assert a.token is not None
    assert new_ring.open(a.sealed["api_key"], context("a").for_field("api_key"), a.kid) == "secret-a"
    assert new_ring.open(a.sealed["pin"], context("a").for_field("pin"), a.kid) == "1234"
    token = new_ring.open(a.token.sealed, context("a", "token").for_field("refresh_token"), a.token.kid)
    assert (token, a.token.generation) == ("token-a", 3)
    assert (world.entries["acme.shop.new"], world.entries["acme.shop.none"]) == untouched
    assert (await reseal(ring, world)).resealed == 0


async def test_a_token_alone_may_be_sealed_to_an_older_key(ring: LiveRing) -> None:
    old = entry("a", token=True)
    world = World(msgspec.structs.replace(entry("a", RING), token=old.token))
    before = world.entries["acme.shop.a"]

    assert (await reseal(ring, world)).resealed == 1

    after = world.entries["acme.shop.a"]
    assert after.token is not None
    assert (after.sealed, after.token.kid) == (before.sealed, RING.active)


async def test_a_limit_leaves_the_rest_for_the_next_time(ring: LiveRing) -> None:
    world = World(*(entry(f"c{number}") for number in range(5)))

    assert [(done.resealed, done.remaining) for done in [await reseal(ring, world, 2) for _ in range(3)]] == [
        (2, 3),
        (2, 1),
        (1, 0),
    ]
    assert world.dropped == [RING.active], "what is cached goes once nothing writes it anew with the older key"


async def test_what_cannot_be_opened_is_named_and_holds_up_nothing(ring: LiveRing) -> None:
    lost = KeyRing.generate()
    world = World(entry("lost", lost), entry("elsewhere", origin="https://other.example.com:443"), entry("good"))

    done = await reseal(ring, world, limit=1)

    assert (done.resealed, done.remaining) == (1, 0)
    assert [(each.enterprise, each.connector, each.name) for each in done.failed] == [
        ("acme", "shop", "lost"),
        ("acme", "shop", "elsewhere"),
    ]
    assert lost.active in done.failed[0].why
    assert "secret-" not in str(done)


async def test_what_changes_meanwhile_is_done_the_next_time(ring: LiveRing) -> None:
    world = World(entry("moved"), entry("gone"), entry("done"), entry("good"))
    world.refusals["moved"] = DibopError("conflict", "The connection has changed.")
    del world.entries["acme.shop.gone"]
    world.entries["acme.shop.done"] = entry("done", RING)

    done = await reseal(ring, world)

    assert (done.resealed, done.remaining, done.failed) == (1, 1, [])


async def test_a_registry_that_is_away_ends_it_and_what_was_done_stays_done(ring: LiveRing) -> None:
    world = World(entry("a"), entry("b"))
    world.refusals["b"] = DibopError("overloaded", "No registry answers.")

    with pytest.raises(DibopError, match="No registry"):
        await reseal(ring, world)

    assert world.entries["acme.shop.a"].kid == RING.active


async def test_a_worker_that_has_another_active_key_says_so(ring: LiveRing) -> None:
    with pytest.raises(DibopError, match=RING.active) as refused:
        await reseal(ring, World(entry("a")), kid="seal-newer")

    assert refused.value.code == "conflict"


def test_a_worker_tells_what_it_holds_and_what_it_needs(ring: LiveRing) -> None:
    told = keys_of("executor-1", ring, [entry("a", token=True), entry("b", RING), entry("none", sealed={})])

    assert (told.worker, told.active, told.keys) == ("executor-1", RING.active, [OLD.active, RING.active])
    assert told.in_use == {OLD.active: 1, RING.active: 1}
    assert keys_of("executor-2", None, []).keys == []
