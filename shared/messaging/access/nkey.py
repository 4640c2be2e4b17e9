"""NATS keys: Ed25519 pairs whose text says what they are for (NATS ADR-14)."""

from __future__ import annotations

import os
from typing import Final, Literal, Self

import nkeys

Kind = Literal["operator", "account", "user"]

_PREFIXES: Final[dict[Kind, int]] = {
    "operator": nkeys.PREFIX_BYTE_OPERATOR,
    "account": nkeys.PREFIX_BYTE_ACCOUNT,
    "user": nkeys.PREFIX_BYTE_USER,
}


class NatsKey:
    """A private key; its text form, the seed, is a secret."""

    def __init__(self, seed: str) -> None:
        """ValueError for what is not a seed."""
        try:
            self._pair = nkeys.from_seed(bytearray(seed.encode()))
            self.public: str = self._pair.public_key.decode()
        except (nkeys.NkeysError, ValueError) as error:
            raise ValueError("this is not a NATS seed") from error
        self.seed = seed

    @classmethod
    def generate(cls, kind: Kind) -> Self:
        return cls(nkeys.encode_seed(os.urandom(32), _PREFIXES[kind]).decode())

    def sign(self, message: bytes) -> bytes:
        signature: bytes = self._pair.sign(message)
        return signature

    def __repr__(self) -> str:
        return f"NatsKey({self.public})"
