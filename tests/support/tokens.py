"""Tokens for tests, signed by a key of their own."""

from __future__ import annotations

from pathlib import Path

from shared.security.principals import Role, TokenIssuer

_HOUR = 3600


class Tokens:
    """Issues tokens that a service verifies with `key_file`."""

    def __init__(self, issuer: TokenIssuer, key_file: Path) -> None:
        self._issuer = issuer
        self.key_file = key_file
        key_file.write_text(issuer.dump_public())

    def issue(self, subject: str, enterprise: str, *roles: Role, lifetime_seconds: int = _HOUR) -> str:
        return self._issuer.issue(subject, enterprise, roles, lifetime_seconds=lifetime_seconds)
