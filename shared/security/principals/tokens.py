"""Tokens: who commands, read from an Ed25519-signed JWT (RFC 7519, RFC 8037)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from shared.contracts.errors import DibopError
from shared.contracts.names import is_token
from shared.security.principals.roles import Principal, Role

ISSUER: Final = "dibop"
AUDIENCE: Final = "dibop-connectors"
_ALGORITHM: Final = "Ed25519"
_LEEWAY_SECONDS: Final = 30


class TokenIssuer:
    """Signs tokens: for the local stack and tests. Production takes an OIDC issuer's tokens."""

    def __init__(self, key: OKPKey) -> None:
        self._key = key

    @classmethod
    def generate(cls) -> TokenIssuer:
        return cls(OKPKey.generate_key("Ed25519", auto_kid=True))

    @classmethod
    def load(cls, path: Path) -> TokenIssuer:
        """Read a private key that `dump` wrote; the error for any other file quotes none of it."""
        try:
            return cls(OKPKey.import_key(json.loads(path.read_text())))
        except OSError as error:
            raise ValueError(f"the signing key {path} cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, JoseError):
            raise ValueError(f"{path} is not an Ed25519 JWK") from None

    def dump(self) -> str:
        """The private key as a JWK."""
        return _json(self._key.as_dict(private=True))

    def dump_public(self) -> str:
        """The JWK Set that verifiers read."""
        return _json({"keys": [self._key.as_dict(private=False)]})

    def issue(self, subject: str, enterprise: str, roles: Iterable[Role], *, lifetime_seconds: int) -> str:
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "enterprise": enterprise,
            "roles": sorted(role.value for role in roles),
            "iat": now,
            "exp": now + lifetime_seconds,
        }
        return jwt.encode({"alg": _ALGORITHM, "kid": self._key.kid}, claims, self._key, algorithms=[_ALGORITHM])


class TokenVerifier:
    """Reads `Authorization: Bearer <jwt>` against a JWK Set; algorithm, issuer and audience are pinned."""

    def __init__(self, keys: KeySet) -> None:
        self._keys = keys
        self._claims = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY_SECONDS,
            iss={"essential": True, "value": ISSUER},
            aud={"essential": True, "value": AUDIENCE},
            exp={"essential": True},
            sub={"essential": True},
        )

    @classmethod
    def load(cls, path: Path) -> TokenVerifier:
        """Read a JWK Set file."""

        try:
            return cls(KeySet.import_key_set(json.loads(path.read_text())))
        except (OSError, ValueError, KeyError, TypeError, JoseError) as error:
            raise ValueError(f"{path} is not a JWK Set: {error}") from error

    def verify(self, authorization: str | None) -> Principal:
        """The principal of an Authorization header, or `unauthenticated` with the reason."""
        if not authorization:
            raise DibopError("unauthenticated", "The request carries no Authorization header. Send 'Bearer <token>'.")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise DibopError("unauthenticated", "The Authorization header must be 'Bearer <token>'.")
        try:
            claims = jwt.decode(token.strip(), self._keys, algorithms=[_ALGORITHM]).claims
            self._claims.validate(claims)
        except (JoseError, ValueError, TypeError) as error:
            reason = getattr(error, "error", None) or type(error).__name__
            raise DibopError("unauthenticated", f"The token was refused ({reason}). Get a new one.") from None
        return _principal(claims)


def _principal(claims: Mapping[str, Any]) -> Principal:
    subject, enterprise, roles = claims.get("sub"), claims.get("enterprise"), claims.get("roles")
    if not isinstance(subject, str) or not isinstance(enterprise, str) or not is_token(enterprise):
        raise DibopError("unauthenticated", "The token names no subject or no enterprise. Get a new one.")
    known = set(Role)
    return Principal(
        subject,
        enterprise,
        frozenset(Role(r) for r in roles if r in known) if isinstance(roles, list) else frozenset(),
    )


def _json(value: Mapping[str, Any]) -> str:

    return json.dumps(value, indent=2)
