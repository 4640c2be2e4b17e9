"""Principals: who commands, read from a signed token, and what their roles allow."""

from __future__ import annotations

from shared.security.principals.roles import ALLOWED, Action, Principal, Role, authorise
from shared.security.principals.tokens import AUDIENCE, ISSUER, TokenIssuer, TokenVerifier

__all__ = [
    "ALLOWED",
    "AUDIENCE",
    "ISSUER",
    "Action",
    "Principal",
    "Role",
    "TokenIssuer",
    "TokenVerifier",
    "authorise",
]
