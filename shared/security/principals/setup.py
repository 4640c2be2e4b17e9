"""The verifier that a service's settings ask for."""

from __future__ import annotations

from urllib.parse import urlsplit

import structlog

from shared.security.principals.jwks import IssuerKeys, is_web_address
from shared.security.principals.keys import KeyFile, TokenKeys
from shared.security.principals.rules import TokenRules, read_algorithms
from shared.security.principals.tokens import TokenVerifier
from shared.settings import TokenSettings

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

_log = structlog.get_logger(__name__)


def token_verifier(settings: TokenSettings) -> TokenVerifier | None:
    """The verifier, to be started with `verifier.keys.start()`; None where no keys are named.

    ValueError where the settings contradict each other or the file is no JWK Set.
    """
    rules = TokenRules(
        issuer=settings.token_issuer,
        audience=settings.token_audience,
        algorithms=read_algorithms(settings.token_algorithms),
        enterprise_claim=settings.token_enterprise_claim,
        roles_claim=settings.token_roles_claim,
    )
    keys = _keys(settings)
    return None if keys is None else TokenVerifier(keys, rules)


def required_verifier(settings: TokenSettings, service: str) -> TokenVerifier:
    """The same; ValueError where no keys are named."""
    verifier = token_verifier(settings)
    if verifier is None:
        raise ValueError(
            f"The {service} needs the public keys that sign tokens. Set DIBOP_TOKEN_KEY_FILE, DIBOP_TOKEN_KEY_URL, or "
            "DIBOP_TOKEN_ISSUER to the address of an OIDC issuer."
        )
    return verifier


def _keys(settings: TokenSettings) -> TokenKeys | None:
    url = settings.token_key_url
    if settings.token_key_file is not None:
        if url is not None:
            raise ValueError("DIBOP_TOKEN_KEY_FILE and DIBOP_TOKEN_KEY_URL are both set. Keep one of them.")
        return KeyFile(settings.token_key_file)
    if url is not None and not is_web_address(url):
        raise ValueError("DIBOP_TOKEN_KEY_URL is no http or https address, or has a password in it. Correct it.")
    address = url or settings.token_issuer
    if not is_web_address(address):
        return None
    parts = urlsplit(address)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        _log.warning("The tokens' keys are fetched by http: whoever is on the way can swap them", host=parts.hostname)
    return IssuerKeys(
        settings.token_issuer, url, ca_file=settings.token_ca_file, refresh_seconds=settings.token_keys_seconds
    )
