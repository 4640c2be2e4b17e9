"""Keys and tokens of a local stack: made once, kept in its home, private ones readable by their owner alone."""

from __future__ import annotations

import base64
import secrets
import time
from typing import Final

from dibop.admin import token_claims
from dibop.errors import LocalStackError
from dibop.local.home import Home
from shared.contracts.names import PLATFORM
from shared.files import write_private, write_whole
from shared.security.principals import Role, TokenIssuer
from shared.security.sealing import KeyRing

ENTERPRISE: Final = "local"
ADMIN: Final = "local-admin"
PUBLISHER: Final = "publisher"
EXECUTOR: Final = "executor"
_YEAR_SECONDS: Final = 365 * 24 * 3600
_MONTH_SECONDS: Final = 30 * 24 * 3600
_PRINCIPALS: Final = {
    ADMIN: (ENTERPRISE, (Role.PLATFORM_ADMIN, Role.ENTERPRISE_ADMIN_SDK)),
    PUBLISHER: (PLATFORM, (Role.PUBLISHER,)),
    EXECUTOR: (PLATFORM, (Role.EXECUTOR,)),
}


def ensure(home: Home) -> None:
    """Make what is missing; sign tokens anew that have less than a month left."""
    try:
        issuer = _signing_key(home)
        _sealing_ring(home)
    except ValueError as error:
        raise LocalStackError(
            f"{error}. Restore it from a backup, or start with a new --home: what was signed or sealed with it is lost."
        ) from error
    for name, (enterprise, roles) in _PRINCIPALS.items():
        path = home.token_file(name)
        if not _is_current(path.read_text() if path.exists() else ""):
            token = issuer.issue(name, enterprise, roles, lifetime_seconds=_YEAR_SECONDS)
            write_private(path, token + "\n")
    if not home.session_key_file.exists():
        write_private(home.session_key_file, base64.b64encode(secrets.token_bytes(32)).decode() + "\n")
    if not home.demo_key_file.exists():
        write_private(home.demo_key_file, secrets.token_hex(16) + "\n")


def _signing_key(home: Home) -> TokenIssuer:
    if not home.signing_key_file.exists():
        write_private(home.signing_key_file, TokenIssuer.generate().dump())
        for name in _PRINCIPALS:
            home.token_file(name).unlink(missing_ok=True)
    issuer = TokenIssuer.load(home.signing_key_file)
    home.token_keys_file.write_text(issuer.dump_public())
    return issuer


def _sealing_ring(home: Home) -> None:
    if not home.key_ring_file.exists():
        write_private(home.key_ring_file, KeyRing.generate().dump())
    write_whole(home.seal_key_file, KeyRing.load(home.key_ring_file).sealing_key.dump())


def _is_current(token: str) -> bool:
    expires = token_claims(token.strip()).get("exp")
    return isinstance(expires, int) and expires - time.time() > _MONTH_SECONDS
