"""The public keys that tokens are verified with, read from a JWK Set (RFC 7517)."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from time import monotonic
from typing import Any, Final, Protocol

import structlog
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, JWKRegistry, Key, OKPKey, RSAKey

from shared.files import stamp_of

_MOST_KEYS: Final = 100
_LOOK_SECONDS: Final = 1.0
"""How often at most a file is looked at for a key that is not known."""

_log = structlog.get_logger(__name__)


class TokenKeys(Protocol):
    """Where a verifier finds keys."""

    @property
    def ready(self) -> bool:
        """False while the keys have never been read."""
        ...

    def find(self, kid: str | None, key_type: str) -> Key | None:
        """The key of this id and type. Without an id, the only key there is."""
        ...

    async def renew(self) -> bool:
        """Ask for the keys again, because one is not known. False where that may not be done now, or has failed."""
        ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class PublicKeys:
    """Keys that can verify signatures: those of other uses or types, and too short ones, are left out."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys = tuple(keys)

    @classmethod
    def read(cls, document: Any) -> PublicKeys:
        """Read a JWK Set; ValueError where it has none of ours."""
        entries = document.get("keys") if isinstance(document, dict) else None
        candidates = entries[:_MOST_KEYS] if isinstance(entries, list) else []
        keys = [key for entry in candidates if (key := _read_key(entry)) is not None]
        if not keys:
            raise ValueError("it holds no public key that verifies signatures (OKP, RSA of 2048 bits or more, or EC)")
        return cls(keys)

    def find(self, kid: str | None, key_type: str) -> Key | None:
        if kid is None:
            return self._keys[0] if len(self._keys) == 1 and self._keys[0].key_type == key_type else None
        return next((key for key in self._keys if key.kid == kid and key.key_type == key_type), None)


class KeyFile:
    """`TokenKeys` of a file. It is read again when a key is missing and the file has changed."""

    ready = True

    def __init__(self, path: Path, *, clock: Callable[[], float] = monotonic) -> None:
        """Read the file; ValueError where it is no JWK Set."""
        self._path = path
        self._clock = clock
        self._stamp = stamp_of(path)
        self._looked = clock()
        try:
            self._keys = _read_file(path)
        except (OSError, ValueError) as error:
            raise ValueError(f"{path} is not a JWK Set: {error}") from error

    def find(self, kid: str | None, key_type: str) -> Key | None:
        found = self._keys.find(kid, key_type)
        if found is None and self._changed():
            found = self._keys.find(kid, key_type)
        return found

    async def renew(self) -> bool:
        return False

    async def start(self) -> None:
        """The file has been read already."""

    async def stop(self) -> None:
        """There is nothing to let go of."""

    def _changed(self) -> bool:
        now = self._clock()
        if now - self._looked < _LOOK_SECONDS:
            return False
        self._looked = now
        stamp = stamp_of(self._path)
        if stamp == self._stamp:
            return False
        try:
            self._keys = _read_file(self._path)
        except (OSError, ValueError) as error:
            _log.warning("The token keys' file cannot be read; the keys before are kept", reason=str(error)[:300])
            return False
        self._stamp = stamp
        return True


def _read_file(path: Path) -> PublicKeys:
    return PublicKeys.read(json.loads(path.read_text()))


def _read_key(entry: Any) -> Key | None:
    """The key, or None for what a verifier of signatures has no use for (RFC 7517, section 5)."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", SecurityWarning)  # what joserfc warns of, as short keys, is not taken
            key = JWKRegistry.import_key(entry)
        if not isinstance(key, OKPKey | RSAKey | ECKey):
            return None
        key.ensure_kid()
    except (SecurityWarning, JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return key
