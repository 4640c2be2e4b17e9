"""The files of the sealing keys: the executors' private ring, and the public key that everybody seals to."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dibop.errors import SealingKeysError
from shared.files import write_whole
from shared.security.sealing import KeyRing, SealingKey


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """Where both lie. Each is written whole or not at all, so that whoever reads one never meets half a file."""

    ring: Path
    public: Path

    def load(self) -> KeyRing:
        """The ring; SealingKeysError names a file that is none."""
        try:
            return KeyRing.load(self.ring)
        except ValueError as error:
            raise SealingKeysError(
                f"{error}. Name the executors' key ring with --ring, on a machine that may hold it."
            ) from error

    def public_kid(self) -> str | None:
        """The key that people seal to; None where the file is missing or none."""
        try:
            return SealingKey.load(self.public).kid
        except ValueError:
            return None

    def write_ring(self, ring: KeyRing) -> None:
        """The file keeps its owner and mode, so that executors that could read it still can."""
        try:
            write_whole(self.ring, ring.dump(), mode=0o600, keep=True)
        except OSError as error:
            raise _unwritable(self.ring, error) from error

    def write_public(self, ring: KeyRing) -> None:
        """Have people seal to the ring's active key from now on."""
        try:
            write_whole(self.public, ring.sealing_key.dump(), keep=True)
        except OSError as error:
            raise _unwritable(self.public, error) from error

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Held by one command at a time; the kernel lets go of it, however the command ends."""
        try:
            descriptor = os.open(
                self.ring.with_name(f".{self.ring.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise _unwritable(self.ring, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise SealingKeysError(
                f"Another 'dibop keys' command works on {self.ring}. Wait until it has ended, then repeat."
            ) from None
        finally:
            os.close(descriptor)


def _unwritable(path: Path, error: OSError) -> SealingKeysError:
    return SealingKeysError(f"{path} cannot be written: {error.strerror}. Run this where the executors' keys are kept.")
