"""Principals: who commands, read from a signed token, and what their roles allow."""

from __future__ import annotations

from shared.security.principals.issuing import TokenIssuer
from shared.security.principals.roles import ALLOWED, Action, Principal, Role, authorise, suspended
from shared.security.principals.rules import AUDIENCE, ISSUER, TokenRules
from shared.security.principals.standing import GOOD, Standing
from shared.security.principals.tokens import TokenVerifier

__all__ = [
    "ALLOWED",
    "AUDIENCE",
    "GOOD",
    "ISSUER",
    "Action",
    "Principal",
    "Role",
    "Standing",
    "TokenIssuer",
    "TokenRules",
    "TokenVerifier",
    "authorise",
    "suspended",
]
