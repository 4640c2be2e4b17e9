"""The executors' private keys, as their file has them now: rotation changes the file while executors run."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final, Protocol

import structlog

from shared.contracts.errors import DibopError
from shared.files import stamp_of
from shared.security.sealing import KeyRing, SealContext, SealingKey
from shared.tasks import end

LOOK_SECONDS: Final = 1.0
"""How often the file is looked at for a change."""

_log = structlog.get_logger(__name__)


class Ring(Protocol):
    """What opens and seals: a key ring, or one that follows its file."""

    @property
    def sealing_key(self) -> SealingKey: ...

    def open(self, sealed: str, context: SealContext, kid: str) -> str: ...


class LiveRing:
    """The key ring in a file, read again when the file changes, and when a key is asked for that it does not hold.

    A file that cannot be read leaves the ring as it was; the log says so.
    """

    def __init__(self, path: Path) -> None:
        """ValueError where the file holds no key ring."""
        self._path = path
        self._stamp = stamp_of(path)
        self._ring = KeyRing.load(path)
        self._looking: asyncio.Task[None] | None = None

    @property
    def active(self) -> str:
        return self._ring.active

    @property
    def kids(self) -> list[str]:
        """Ids of all keys that can open."""
        return list(self._ring.keys)

    @property
    def sealing_key(self) -> SealingKey:
        return self._ring.sealing_key

    def open(self, sealed: str, context: SealContext, kid: str) -> str:
        """As `KeyRing.open`."""
        if kid not in self._ring.keys:
            self.reload()
        return self._ring.open(sealed, context, kid)

    def reload(self) -> None:
        """Read the file again if it has changed."""
        stamp = stamp_of(self._path)
        if stamp is None or stamp == self._stamp:
            return
        try:
            self._ring = KeyRing.load(self._path)
        except ValueError as error:
            _log.error("The key ring cannot be read again; the keys stay as they were", reason=str(error))
            return
        self._stamp = stamp
        _log.info("The key ring was read again", active=self._ring.active, keys=self.kids)

    def start(self) -> None:
        """Follow the file until `stop`."""
        self._looking = asyncio.create_task(self._look())

    async def stop(self) -> None:
        if self._looking is not None:
            await end(self._looking)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.reload()


def no_key(purpose: str) -> DibopError:
    """An executor without a key ring was asked for what needs one; `purpose` is such as "seal tokens with"."""
    return DibopError(
        "credentials-rejected",
        f"This executor holds no key to {purpose}. Have its operator set DIBOP_SEAL_KEYRING_FILE.",
    )
