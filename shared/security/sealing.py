"""Sealing of credential values to the executors' public key with HPKE (RFC 9180).

Whoever receives a credential first seals it; only executors hold the private key. Everything that a value
is bound to stands in HPKE's `info`, so that a ciphertext opens for the same enterprise, connector,
connection, field and host, and for nothing else.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import rfc8785
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from shared.contracts.errors import DibopError
from shared.security.redaction import keep_out_too

ALGORITHM: Final = "HPKE-Base-X25519-SHA256-AES256GCM"
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_MASK_MINIMUM: Final = 12
_MASK_TAIL: Final = 4

SealUse = Literal["connection", "test", "token"]


@dataclass(frozen=True, slots=True)
class SealContext:
    """What a sealed value is bound to. `connection` is the connection's UUID, or a test session's."""

    use: SealUse
    enterprise: str
    owner: str
    connector: str
    connection: str
    origin: str
    field: str = ""

    def for_field(self, field: str) -> SealContext:
        return replace(self, field=field)

    def info(self, kid: str) -> bytes:
        """HPKE `info`: canonical JSON (RFC 8785) with the format version and the key's id."""
        return rfc8785.dumps(
            {
                "v": 1,
                "use": self.use,
                "enterprise": self.enterprise,
                "owner": self.owner,
                "connector": self.connector,
                "connection": self.connection,
                "field": self.field,
                "origin": self.origin,
                "kid": kid,
            }
        )


@dataclass(frozen=True, slots=True)
class SealingKey:
    """The public half: seals, cannot open."""

    kid: str
    public_key: X25519PublicKey

    def seal(self, value: str, context: SealContext) -> str:
        """Seal one value; the answer is base64 of HPKE's `enc` and ciphertext."""
        sealed = _SUITE.encrypt(value.encode(), self.public_key, info=context.info(self.kid))
        return base64.b64encode(sealed).decode()

    def seal_all(self, values: Mapping[str, str], context: SealContext) -> dict[str, str]:
        return {field: self.seal(value, context.for_field(field)) for field, value in values.items()}

    def dump(self) -> str:
        return json.dumps(
            {"kid": self.kid, "alg": ALGORITHM, "public_key": _encode(self.public_key.public_bytes_raw())},
            indent=2,
        )

    @classmethod
    def load(cls, path: Path) -> SealingKey:
        """Read a public key file; a file that is not one is named in the error."""
        try:
            data = json.loads(path.read_text())
            return cls(data["kid"], X25519PublicKey.from_public_bytes(_decode(data["public_key"])))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is not a public sealing key: {error}") from error


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The executors' private keys by id: one is active, and all open.

    `next` is the key that becomes the active one as soon as every executor holds it: nothing is sealed to it yet.
    The others are retired: nothing more is sealed to them.
    """

    active: str
    keys: Mapping[str, X25519PrivateKey]
    next: str | None = None

    @classmethod
    def generate(cls) -> KeyRing:
        kid, key = _new_key()
        return cls(kid, {kid: key})

    @property
    def sealing_key(self) -> SealingKey:
        return SealingKey(self.active, self.keys[self.active].public_key())

    @property
    def retired(self) -> list[str]:
        """Ids of the retired keys, the oldest first."""
        return [kid for kid in self.keys if kid not in {self.active, self.next}]

    def with_next(self) -> KeyRing:
        """This ring with a new key to come; the same ring where there is one."""
        if self.next is not None:
            return self
        kid, key = _new_key()
        return replace(self, keys={**self.keys, kid: key}, next=kid)

    def switched(self) -> KeyRing:
        """This ring with the key to come as the active one, and the active one retired."""
        return self if self.next is None else replace(self, active=self.next, next=None)

    def without(self, kid: str) -> KeyRing:
        """This ring without a retired key; ValueError for one that is not retired."""
        if kid not in self.retired:
            raise ValueError(f"{kid!r} is no retired key of this ring")
        return replace(self, keys={other: key for other, key in self.keys.items() if other != kid})

    def open(self, sealed: str, context: SealContext, kid: str) -> str:
        """Open one value, or raise `credentials-rejected`: it was sealed for something else, or is damaged.

        What is opened is kept out of whatever the task says from then on.
        """
        key = self.keys.get(kid)
        if key is None:
            raise DibopError(
                "credentials-rejected",
                f"The field {context.field!r} of connector {context.connector!r} is sealed to key {kid[:40]!r}, which "
                "this executor does not hold. Create the credentials again with the current sealing key.",
            )
        try:
            opened = _SUITE.decrypt(base64.b64decode(sealed, validate=True), key, info=context.info(kid)).decode()
        except (InvalidTag, binascii.Error, UnicodeDecodeError, ValueError):
            raise DibopError(
                "credentials-rejected",
                f"The field {context.field!r} cannot be opened: it was not sealed for connector {context.connector!r}, "
                f"this connection and {context.origin}. Create the credentials again.",
            ) from None
        keep_out_too(opened)
        return opened

    def dump(self) -> str:
        return json.dumps(
            {
                "active": self.active,
                **({"next": self.next} if self.next is not None else {}),
                "keys": [
                    {"kid": kid, "private_key": _encode(key.private_bytes_raw())} for kid, key in self.keys.items()
                ],
            },
            indent=2,
        )

    @classmethod
    def load(cls, path: Path) -> KeyRing:
        """Read a key ring file; the error for a file that is not one names the file and none of its contents."""
        try:
            data = json.loads(path.read_text())
            keys = {k["kid"]: X25519PrivateKey.from_private_bytes(_decode(k["private_key"])) for k in data["keys"]}
            ring = cls(data["active"], keys, data.get("next"))
            _ = keys[ring.active], ring.next is None or keys[ring.next]
        except OSError as error:
            raise ValueError(f"the key ring {path} cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{path} is not a key ring") from None
        return ring


def _new_key() -> tuple[str, X25519PrivateKey]:
    return f"seal-{secrets.token_hex(4)}", X25519PrivateKey.generate()


def masked_tail(value: str) -> str:
    """At most four last characters, and those only where the value has twelve or more."""
    return value[-_MASK_TAIL:] if len(value) >= _MASK_MINIMUM else ""


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
