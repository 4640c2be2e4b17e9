"""What a token must be to be taken: whose, for whom, signed how; and where its claims stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

ISSUER: Final = "dibop"
AUDIENCE: Final = "dibop-connectors"
ALGORITHM: Final = "Ed25519"
"""What our own issuer signs with."""

KEY_TYPES: Final[Mapping[str, str]] = {
    "Ed25519": "OKP",
    "EdDSA": "OKP",
    "RS256": "RSA",
    "RS384": "RSA",
    "RS512": "RSA",
    "PS256": "RSA",
    "PS384": "RSA",
    "PS512": "RSA",
    "ES256": "EC",
    "ES384": "EC",
    "ES512": "EC",
}
"""The algorithms that may be allowed, with the type of their keys (RFC 7518, RFC 9864): signatures by a private key
alone. `none` and the HMAC ones, whose key would be whatever the verifier holds, are not to be had."""


@dataclass(frozen=True, slots=True)
class TokenRules:
    """`enterprise_claim` and `roles_claim` are names of claims, or dotted paths to nested ones."""

    issuer: str = ISSUER
    audience: str = AUDIENCE
    algorithms: frozenset[str] = frozenset({"Ed25519", "EdDSA"})
    enterprise_claim: str = "enterprise"
    roles_claim: str = "roles"


def read_algorithms(text: str) -> frozenset[str]:
    """Algorithms from a comma-separated list; ValueError for one that is not to be had."""
    names = frozenset(_names(text))
    unknown = sorted(names - set(KEY_TYPES))
    if unknown or not names:
        raise ValueError(
            f"{', '.join(unknown) or 'nothing'} cannot sign tokens here. Choose of {', '.join(KEY_TYPES)}."
        )
    return names


def _names(text: str) -> Iterable[str]:
    return filter(None, (part.strip() for part in text.split(",")))
