"""Tokens: who commands, read from a signed JWT (RFC 7519), as RFC 8725 would have it read."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from shared.contracts.errors import DibopError
from shared.contracts.names import is_token
from shared.security.principals.keys import KeyFile, TokenKeys
from shared.security.principals.roles import Principal, Role
from shared.security.principals.rules import KEY_TYPES, TokenRules

LEEWAY_SECONDS: Final = 30
"""How far the issuer's clock may be from ours."""
MAX_TOKEN_CHARACTERS: Final = 16 * 1024
_MAX_SUBJECT_CHARACTERS: Final = 256
_TYPES: Final = frozenset({"jwt", "at+jwt"})
"""Other kinds of JWT (logout tokens, security events) are for others, though the same key has signed them."""
_MAX_HEADER_CHARACTERS: Final = 4096


class UnknownKeyError(DibopError):
    """The token names a key that is not known, or not yet."""

    def __init__(self) -> None:
        super().__init__(
            "unauthenticated",
            "The token was refused (it is signed with a key that its issuer is not known to have). Get a new one.",
        )


class TokenVerifier:
    """Reads `Authorization: Bearer <jwt>`; the rules pin algorithms, issuer and audience."""

    def __init__(self, keys: TokenKeys, rules: TokenRules | None = None) -> None:
        self.keys = keys
        self._rules = rules or TokenRules()
        self._registry = _Registry(self._rules.algorithms)
        self._claims = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": self._rules.issuer},
            aud={"essential": True, "value": self._rules.audience},
            exp={"essential": True},
            sub={"essential": True},
        )

    @classmethod
    def load(cls, path: Path, rules: TokenRules | None = None) -> TokenVerifier:
        """A verifier over a JWK Set file."""
        return cls(KeyFile(path), rules)

    def verify(self, authorization: str | None) -> Principal:
        """The principal of an Authorization header, or `unauthenticated` with the reason. Asks nobody."""
        token = _bearer(authorization)
        if not self.keys.ready:
            raise DibopError(
                "overloaded",
                "The keys of the tokens' issuer could not be fetched yet, so no token can be verified. Repeat in a "
                "moment; if this stays, have an operator look at DIBOP_TOKEN_KEY_URL and DIBOP_TOKEN_ISSUER.",
            )
        try:
            claims = self._read(token)
            self._claims.validate(claims)
        except DibopError:
            raise
        except RecursionError:
            raise _refused("its claims are nested too deeply") from None
        except (JoseError, ValueError, TypeError, OverflowError) as error:
            raise _refused(_reason(error)) from None
        return _principal(claims, self._rules)

    async def verified(self, authorization: str | None) -> Principal:
        """The same, after asking the issuer once more where it may have a key that is not known here."""
        try:
            return self.verify(authorization)
        except UnknownKeyError:
            if not await self.keys.renew():
                raise
        return self.verify(authorization)

    def _read(self, token: str) -> dict[str, Any]:
        """The claims, once the signature is verified."""
        header = _header(token)
        algorithm, kid = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in self._rules.algorithms:
            raise _refused("its algorithm is not allowed here")
        if kid is not None and not isinstance(kid, str):
            raise _refused("its header is malformed")
        key = self.keys.find(kid, KEY_TYPES[algorithm])
        if key is None:
            raise UnknownKeyError
        return jwt.decode(token, key, registry=self._registry, decoder_cls=_StrictDecoder).claims


class _Registry(JWSRegistry):
    """The allowed algorithms; header parameters that nobody knows are ignored, as RFC 7515 says."""

    max_header_length = _MAX_HEADER_CHARACTERS
    max_payload_length = MAX_TOKEN_CHARACTERS

    def __init__(self, algorithms: frozenset[str]) -> None:
        super().__init__(algorithms=algorithms, strict_check_header=False)

    def get_alg(self, name: str) -> Any:
        """Without joserfc's warning about the name EdDSA, which is an operator's to choose."""
        return self.algorithms[name]


class _StrictDecoder(json.JSONDecoder):
    """JSON in which no name stands twice and every number is one: what one reader sees, all do."""

    def __init__(self) -> None:
        super().__init__(object_pairs_hook=_once, parse_constant=_no_number)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise ValueError("a name stands twice")
    return names


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def expires_at(token: str) -> float:
    """When a token that was verified ends, in seconds since the epoch."""
    payload = token.split(".")[1]
    claims = _StrictDecoder().decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode())
    return float(claims["exp"])


def _bearer(authorization: str | None) -> str:
    if not authorization:
        raise DibopError("unauthenticated", "The request carries no Authorization header. Send 'Bearer <token>'.")
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise DibopError("unauthenticated", "The Authorization header must be 'Bearer <token>'.")
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise _refused(f"it has {len(token):,} characters; at most {MAX_TOKEN_CHARACTERS:,} are read")
    return token


def _header(token: str) -> dict[str, Any]:
    """The header of a compact JWS, not verified yet."""
    parts = token.split(".")
    if len(parts) != 3 or not token.isascii():
        raise _refused("it is not a signed JWT")
    if len(parts[0]) > _MAX_HEADER_CHARACTERS:
        raise _refused("its header is too long")
    header = _StrictDecoder().decode(base64.urlsafe_b64decode(parts[0] + "=" * (-len(parts[0]) % 4)).decode())
    if not isinstance(header, dict):
        raise _refused("it is not a signed JWT")
    kind = header.get("typ", "jwt")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in _TYPES:
        raise _refused("it is a token of another kind")
    if "crit" in header or "b64" in header:
        raise _refused("its header asks for an extension that is not known here")
    return header


def _principal(claims: Mapping[str, Any], rules: TokenRules) -> Principal:
    subject, enterprise = claims.get("sub"), _claim(claims, rules.enterprise_claim)
    if not isinstance(subject, str) or not 0 < len(subject) <= _MAX_SUBJECT_CHARACTERS or not subject.isprintable():
        raise _refused("its subject is empty, too long, or holds control characters")
    if not isinstance(enterprise, str) or not is_token(enterprise):
        raise _refused(f"its claim {rules.enterprise_claim!r} names no enterprise")
    known = {role.value for role in Role}
    return Principal(
        subject,
        enterprise,
        frozenset(Role(name) for name in _names(_claim(claims, rules.roles_claim)) if name in known),
    )


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    """The claim of this name, which may have dots of its own, else the one that the dotted path leads to."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _names(value: Any) -> list[str]:
    """Roles as a list, or as the space-separated text that some issuers write."""
    if isinstance(value, str):
        return value.split()
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _refused(reason: str) -> DibopError:
    return DibopError("unauthenticated", f"The token was refused ({reason}). Get a new one.")


def _reason(error: Exception) -> str:
    return str(getattr(error, "error", None) or "it cannot be read").replace("_", " ")
