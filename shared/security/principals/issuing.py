"""Issuing tokens: for the local stack and for tests. Production takes the tokens of an OIDC issuer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from shared.security.principals.roles import Role
from shared.security.principals.rules import ALGORITHM, AUDIENCE, ISSUER


class TokenIssuer:
    """Signs tokens with an Ed25519 key."""

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
        return jwt.encode({"alg": ALGORITHM, "kid": self._key.kid}, claims, self._key, algorithms=[ALGORITHM])


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2)
