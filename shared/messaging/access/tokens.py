"""The JWTs of NATS: an operator's, accounts' and users', and the credentials files made of them (NATS ADR-14).

They are not the tokens of people: those say who someone is, these say what a connection may do.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.messaging.access.accounts import EXPORTS, LONGEST_ANSWER_NS, Export, Import
from shared.messaging.access.nkey import NatsKey
from shared.messaging.access.permissions import UserRights

_HEADER: Final = {"typ": "JWT", "alg": "ed25519-nkey"}
_UNLIMITED: Final = -1
_DAY_SECONDS: Final = 86_400
_BEGIN_JWT: Final = "-----BEGIN NATS USER JWT-----"
_LIMITS: Final = {
    "subs": _UNLIMITED,
    "data": _UNLIMITED,
    "payload": _UNLIMITED,
    "imports": _UNLIMITED,
    "exports": _UNLIMITED,
    "wildcards": True,
    "conn": _UNLIMITED,
    "leaf": 0,
}
_JETSTREAM: Final = ("mem_storage", "disk_storage", "streams", "consumer")


def operator_token(operator: NatsKey, system_account: str) -> str:
    """Signed by itself. The operator signs the accounts."""
    about = {"type": "operator", "version": 2, "system_account": system_account}
    return _sign(operator, operator.public, "dibop", about)


def system_account_token(operator: NatsKey, account: str) -> str:
    """The server's own account, in which it tells of itself."""
    return _sign(operator, account, "SYS", {"type": "account", "version": 2, "limits": _LIMITS})


def services_account_token(operator: NatsKey, account: str, name: str) -> str:
    """The account that has JetStream, and offers requests and events to the others."""
    about = {
        "type": "account",
        "version": 2,
        "limits": {**_LIMITS, **dict.fromkeys(_JETSTREAM, _UNLIMITED)},
        "exports": [_export(export) for export in EXPORTS],
    }
    return _sign(operator, account, name, about)


def account_token(
    operator: NatsKey, account: str, name: str, imports: Sequence[Import], *, services_account: str
) -> str:
    """An account without JetStream of its own, which takes `imports` from the services' account."""
    about = {
        "type": "account",
        "version": 2,
        "limits": _LIMITS,
        "imports": [
            {"name": each.subject, "subject": each.subject, "account": services_account, "type": each.kind}
            for each in imports
        ],
    }
    return _sign(operator, account, name, about)


def user_token(account: NatsKey, user: str, rights: UserRights, *, valid_days: int | None = None) -> str:
    """What the user with the public key `user` may do, for ever or for a number of days."""
    about = {
        "type": "user",
        "version": 2,
        "pub": {"allow": rights.publishes()},
        "sub": {"allow": rights.subscribes()},
        "subs": _UNLIMITED,
        "data": _UNLIMITED,
        "payload": _UNLIMITED,
    }
    expires = {} if valid_days is None else {"exp": int(time.time()) + valid_days * _DAY_SECONDS}
    return _sign(account, user, rights.name, about, **expires)


def claims_of(token: str) -> dict[str, Any]:
    """What a JWT says, unverified; ValueError for what is not one."""
    try:
        _, body, _ = token.split(".")
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except ValueError as error:
        raise ValueError("this is not a NATS JWT") from error
    return claims


def credentials(token: str, user: NatsKey) -> str:
    """The text of a .creds file, as every NATS client takes it."""
    return (
        f"{_BEGIN_JWT}\n{token}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
    )


def token_in(credentials_text: str) -> str:
    """The JWT in a .creds file; ValueError where there is none."""
    lines = credentials_text.splitlines()
    try:
        return lines[lines.index(_BEGIN_JWT) + 1].strip()
    except (ValueError, IndexError):
        raise ValueError("this is not a NATS credentials file") from None


def _export(export: Export) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": f"{export.kind} {export.subject}", "subject": export.subject, "type": export.kind}
    if export.kind == "service":
        entry |= {"response_type": export.answers, "response_threshold": LONGEST_ANSWER_NS}
    return entry


def _sign(signer: NatsKey, subject: str, name: str, about: Mapping[str, Any], **more: int) -> str:
    claims: dict[str, Any] = {
        "iat": int(time.time()),
        "iss": signer.public,
        "sub": subject,
        "name": name,
        "nats": about,
        **more,
    }
    digest = hashlib.sha256(_json(claims)).digest()
    claims["jti"] = base64.b32encode(digest).decode().rstrip("=")
    signed = f"{_base64(_json(_HEADER))}.{_base64(_json(claims))}"
    return f"{signed}.{_base64(signer.sign(signed.encode()))}"


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
