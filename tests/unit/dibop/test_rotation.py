"""The order of a rotation: nothing is sealed to a key that a worker lacks, and no key leaves that something needs."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from dibop.admin import Executors, Registry
from dibop.errors import ConflictError, NoServiceError, SealingKeysError
from dibop.keyring import KeyFiles
from dibop.rotation import Rotation
from shared.contracts.commands import (
    KeyRetired,
    KeyRotationNoted,
    KeysShown,
    KeyUse,
    Resealed,
    ResealFailure,
    ResealKeys,
    WorkerKeys,
)
from shared.security.sealing import KeyRing, SealingKey


@dataclass
class Platform:
    """Registry and executors in one: `uses` is what is sealed to each key, `held` what each worker has read."""

    files: KeyFiles
    workers: list[str] = field(default_factory=lambda: ["executor-1", "executor-2"])
    stale: set[str] = field(default_factory=set)
    """Workers that never read the ring again."""
    held: dict[str, KeyRing] = field(default_factory=dict)
    uses: dict[str, KeyUse] = field(default_factory=dict)
    failing: int = 0
    """So many connections cannot be resealed."""
    away: int = 0
    """So many further commands find nobody."""
    log: list[str] = field(default_factory=list)

    async def keys(self) -> KeysShown:
        self._answer()
        for worker in self.workers:
            if worker not in self.stale or worker not in self.held:
                self.held[worker] = self.files.load()
        return KeysShown(workers=[self._told(worker) for worker in self.workers], expected=len(self.workers))

    async def reseal(self, command: ResealKeys) -> Resealed:
        self._answer()
        assert all(ring.active == command.kid for ring in self.held.values()), "a worker seals to an older key yet"
        old = [use for use in self.uses.values() if use.kid != command.kid and use.connections > self.failing]
        resealed = sum(use.connections - self.failing for use in old)
        for use in old:
            self.sealed(use.kid, connections=self.failing)
            self.sealed(command.kid, connections=resealed)
        why = ResealFailure(enterprise="acme", connector="shop", name="lost", why="its key is gone")
        return Resealed(kid=command.kid, resealed=resealed, remaining=0, failed=[why] * self.failing)

    async def key_uses(self) -> list[KeyUse]:
        self._answer()
        return list(self.uses.values())

    async def note_key_rotation(self, kid: str, previous: str) -> KeyRotationNoted:
        assert all(kid in ring.keys for ring in self.held.values()), "a worker could not open it"
        assert self.files.load().active == previous
        self.log.append(f"rotated to {kid}")
        return KeyRotationNoted(kid=kid)

    async def retire_key(self, kid: str, *, forget_test_credentials: bool = False) -> KeyRetired:
        if forget_test_credentials:
            self.sealed(kid, test_credentials=0)
        use = self.uses.get(kid)
        if use is not None and (use.connections or use.tokens or use.test_credentials):
            raise ConflictError("conflict", f"{kid} is in use")
        self.log.append(f"retired {kid}")
        return KeyRetired(kid=kid, retired_at="now")

    def sealed(self, kid: str, **counts: int) -> None:
        before = self.uses.get(kid, KeyUse(kid=kid, connections=0, tokens=0, test_credentials=0))
        self.uses[kid] = before.model_copy(update=counts)

    def rotation(self, wait: float = 0.5) -> Rotation:
        registry, executors = cast("Registry", self), cast("Executors", self)
        return Rotation(self.files, executors, registry, lambda *_: None, wait_seconds=wait)

    def _told(self, worker: str) -> WorkerKeys:
        in_use = {kid: use.connections for kid, use in self.uses.items() if use.connections}
        ring = self.held[worker]
        return WorkerKeys(worker=worker, active=ring.active, keys=list(ring.keys), in_use=in_use)

    def _answer(self) -> None:
        if self.away:
            self.away -= 1
            raise NoServiceError("Nobody is there.")


@pytest.fixture
def files(tmp_path: Path) -> KeyFiles:
    files = KeyFiles(tmp_path / "ring.json", tmp_path / "public.json")
    ring = KeyRing.generate()
    files.write_ring(ring)
    files.write_public(ring)
    return files


@pytest.fixture
def platform(files: KeyFiles) -> Platform:
    return Platform(files)


async def test_everything_comes_over_and_the_old_key_goes(platform: Platform, files: KeyFiles) -> None:
    old = files.load().active
    platform.sealed(old, connections=3)

    outcome = await platform.rotation().run()

    ring = files.load()
    assert (outcome.previous, outcome.resealed, outcome.retired, outcome.left) == (old, 3, [old], [])
    assert (list(ring.keys), ring.active, ring.next) == ([outcome.active], outcome.active, None)
    assert files.public_kid() == outcome.active
    assert platform.log == [f"rotated to {outcome.active}", f"retired {old}"]


async def test_nothing_is_sealed_to_a_key_that_a_worker_lacks(platform: Platform, files: KeyFiles) -> None:
    old = files.load().active
    platform.stale = {"executor-2"}
    await platform.keys()

    with pytest.raises(SealingKeysError, match="executor-2 did not say that it holds seal-"):
        await platform.rotation(wait=0.05).run()

    ring = files.load()
    assert (ring.active, files.public_kid(), platform.log) == (old, old, [])
    platform.stale = set()
    outcome = await platform.rotation().run()
    assert (outcome.active, outcome.retired) == (ring.next, [old])


@pytest.mark.parametrize("step", ["next", "active"])
async def test_an_interrupted_rotation_goes_on_and_makes_no_further_key(
    platform: Platform, files: KeyFiles, step: str
) -> None:
    old = files.load().active
    ring = files.load().with_next()
    files.write_ring(ring if step == "next" else ring.switched())
    platform.sealed(old, connections=1)

    outcome = await platform.rotation().run()

    assert (outcome.active, list(files.load().keys)) == (ring.next, [ring.next])
    assert files.public_kid() == ring.next


async def test_services_that_are_away_for_a_moment_are_waited_for(platform: Platform, files: KeyFiles) -> None:
    platform.away = 2

    assert (await platform.rotation(wait=30).run()).left == []


async def test_a_key_that_something_needs_stays(platform: Platform, files: KeyFiles) -> None:
    old = files.load().active
    platform.sealed(old, connections=2)
    platform.failing = 1

    outcome = await platform.rotation().run()

    assert (outcome.resealed, outcome.retired, outcome.unresealed) == (1, [], True)
    assert [failure.name for failure in outcome.failed] == ["lost"]
    assert files.load().retired == [old]
    with pytest.raises(ConflictError):
        await platform.rotation().retire(old)
    again = await platform.rotation().run(new=True)
    assert (again.active != outcome.active, old in files.load().keys) == (True, True)


async def test_test_credentials_keep_a_key_until_they_are_forgotten(platform: Platform, files: KeyFiles) -> None:
    old = files.load().active
    platform.sealed(old, test_credentials=1)

    outcome = await platform.rotation().run()

    assert (outcome.unresealed, [use.kid for use in outcome.left]) == (False, [old])
    await platform.rotation().retire(old, forget_test_credentials=True)
    assert files.load().retired == []


async def test_old_keys_may_be_kept(platform: Platform, files: KeyFiles) -> None:
    old = files.load().active

    outcome = await platform.rotation().run(keep_old=True)

    assert (files.load().retired, outcome.retired) == ([old], [])
    finished = await platform.rotation().run()
    assert (finished.active, finished.retired) == (outcome.active, [old])


@pytest.mark.parametrize(("kid", "words"), [("active", "executors seal to"), ("seal-gone", "has no key 'seal-gone'")])
async def test_a_key_that_cannot_be_retired_is_told(platform: Platform, files: KeyFiles, kid: str, words: str) -> None:
    with pytest.raises(SealingKeysError, match=words):
        await platform.rotation().retire(files.load().active if kid == "active" else kid)


async def test_who_could_read_the_ring_still_can(platform: Platform, files: KeyFiles) -> None:
    files.ring.chmod(0o640)

    await platform.rotation().run()

    assert [stat.S_IMODE(file.stat().st_mode) for file in (files.ring, files.public)] == [0o640, 0o644]
    assert {file.name for file in files.ring.parent.iterdir()} == {"ring.json", "public.json", ".ring.json.lock"}


async def test_one_command_works_on_a_ring_at_a_time(platform: Platform, files: KeyFiles) -> None:
    with files.locked(), pytest.raises(SealingKeysError, match="Another 'dibop keys' command"):
        await platform.rotation().run()


def test_files_that_cannot_be_used_are_named(files: KeyFiles, tmp_path: Path) -> None:
    files.ring.write_text("{}")
    with pytest.raises(SealingKeysError, match=r"ring\.json is not a key ring"):
        files.load()
    files.public.write_text("{}")
    assert files.public_kid() is None
    files.write_public(ring := KeyRing.generate())
    assert SealingKey.load(files.public).kid == ring.active
    elsewhere: Any = KeyFiles(tmp_path / "public.json" / "ring.json", files.public)
    with pytest.raises(SealingKeysError, match="cannot be written"):
        elsewhere.write_ring(ring)
