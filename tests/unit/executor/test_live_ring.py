"""A key ring that changes while executors run."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.executor.keys import LiveRing
from shared.contracts.errors import DibopError
from shared.files import write_private
from shared.security.sealing import KeyRing, SealContext
from tests.support.polling import eventually

CONTEXT = SealContext("connection", "acme", "platform", "shop", "c-1", "https://api.example.com:443", "api_key")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ring.json"


@pytest.fixture
def ring(file: Path) -> KeyRing:
    made = KeyRing.generate()
    write_private(file, made.dump())
    return made


def test_a_key_that_has_come_meanwhile_opens_at_its_first_use(file: Path, ring: KeyRing) -> None:
    live = LiveRing(file)
    rotated = ring.with_next().switched()
    write_private(file, rotated.dump())

    sealed = rotated.sealing_key.seal("value", CONTEXT)

    assert live.open(sealed, CONTEXT, rotated.active) == "value"
    assert live.open(ring.sealing_key.seal("old", CONTEXT), CONTEXT, ring.active) == "old"
    assert (live.active, live.kids) == (rotated.active, [ring.active, rotated.active])


async def test_the_file_is_followed(file: Path, ring: KeyRing) -> None:
    live = LiveRing(file)
    live.start()
    rotated = ring.with_next().switched()
    write_private(file, rotated.dump())

    await eventually(lambda: live.sealing_key.kid == rotated.active, 30)
    write_private(file, rotated.without(ring.active).dump())
    await eventually(lambda: live.kids == [rotated.active], 30)
    await live.stop()

    with pytest.raises(DibopError, match="does not hold"):
        live.open(ring.sealing_key.seal("old", CONTEXT), CONTEXT, ring.active)


@pytest.mark.parametrize("text", ["", "{}", '{"active": "gone", "keys": []}'])
def test_a_file_that_holds_no_ring_changes_nothing(file: Path, ring: KeyRing, text: str) -> None:
    live = LiveRing(file)
    file.write_text(text)
    live.reload()
    assert live.active == ring.active

    file.unlink()
    live.reload()
    assert live.active == ring.active


def test_a_ring_that_is_missing_at_the_start_is_told(file: Path) -> None:
    with pytest.raises(ValueError, match=r"ring\.json cannot be read"):
        LiveRing(file)
