"""What the console needs to know to have people sign in at an OIDC issuer."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from services.console.settings import ConsoleSettings
from shared.security.principals.jwks import is_web_address

TokenName = Literal["access_token", "id_token"]


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """`token` is which of the issuer's tokens the services verify. Without `client_secret` the client is public."""

    issuer: str
    client_id: str
    client_secret: str | None = field(repr=False)
    scopes: str
    token: TokenName
    trust: ssl.SSLContext = field(repr=False)

    @classmethod
    def of(cls, settings: ConsoleSettings) -> OidcSettings | None:
        """None where people sign in by links and tokens alone; ValueError where settings are missing."""
        if not settings.oidc_client_id:
            return None
        if not is_web_address(settings.token_issuer):
            raise ValueError("DIBOP_OIDC_CLIENT_ID needs DIBOP_TOKEN_ISSUER to be the address of an OIDC issuer.")
        return cls(
            issuer=settings.token_issuer,
            client_id=settings.oidc_client_id,
            client_secret=_secret(settings.oidc_client_secret_file),
            scopes=settings.oidc_scopes,
            token=settings.oidc_token,
            trust=_trust(settings.token_ca_file),
        )


def _secret(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ValueError(f"DIBOP_OIDC_CLIENT_SECRET_FILE {path} cannot be read: {error.strerror}.") from error


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context
