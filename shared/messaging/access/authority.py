"""Who makes NATS users: the keys of operator and accounts, in one directory of private files.

    operator.seed  operator.jwt           the operator, and what servers know it by, which a reload may not change
    system.seed                           the server's own account
    accounts/<name>.seed                  `dibop` (the services), `platform`, and one for each enterprise
    <user>.creds                          users of the services' account

Whoever can read this directory can make any user. A NATS server needs none of it, only what `server_config` says.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from shared.contracts.names import is_token
from shared.files import write_private
from shared.messaging.access import tokens
from shared.messaging.access.accounts import (
    PLATFORM_ACCOUNT,
    SERVICES_ACCOUNT,
    Import,
    enterprise_imports,
    platform_imports,
)
from shared.messaging.access.nkey import NatsKey
from shared.messaging.access.permissions import SERVICES, UserRights

RESERVED: Final = frozenset({PLATFORM_ACCOUNT, SERVICES_ACCOUNT, "svc", "system"})
"""Names that no enterprise may carry on the bus."""
_RENEWED_SECONDS: Final = 7 * 86_400


class AuthorityError(Exception):
    """Keys are missing, damaged, or of another authority; or a name cannot be used."""


class Authority:
    """The operator of a NATS system, and its accounts. Opened from, or made in, a directory."""

    def __init__(self, directory: Path) -> None:
        """Read the keys; AuthorityError where there are none, or damaged ones."""
        self.directory = directory
        self._operator = self._key("operator")
        self._system = self._key("system")

    @classmethod
    def ensure(cls, directory: Path) -> Authority:
        """Open the directory's authority, having made whatever is missing for a new one, closed to others."""
        for folder in (directory, directory / "accounts"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (directory / "operator.seed").exists():
            if any((directory / "accounts").iterdir()):
                raise AuthorityError(
                    f"{directory} holds accounts and no operator.seed, with which they were signed. "
                    "Restore it from a backup, or start with an empty directory: all users have to be made anew."
                )
            write_private(directory / "system.seed", NatsKey.generate("account").seed + "\n")
            write_private(directory / "operator.seed", NatsKey.generate("operator").seed + "\n")
            (directory / "operator.jwt").unlink(missing_ok=True)
        authority = cls(directory)
        for name in (SERVICES_ACCOUNT, PLATFORM_ACCOUNT):
            authority._ensure_account(name)
        return authority

    @property
    def services_account(self) -> str:
        """The public key of the account that has the streams."""
        return self._account(SERVICES_ACCOUNT).public

    @property
    def enterprises(self) -> list[str]:
        """Those that have an account."""
        return sorted(file.stem for file in (self.directory / "accounts").glob("*.seed") if file.stem not in RESERVED)

    def add_enterprise(self, enterprise: str) -> bool:
        """Give it an account unless it has one; True where it is new: servers must then be told (`server_config`)."""
        if not is_token(enterprise) or enterprise in RESERVED:
            raise AuthorityError(
                f"{enterprise[:80]!r} cannot be an enterprise: its name starts with a letter a-z, goes on with at most "
                f"62 of a-z, 0-9, '_' and '-', and is none of {', '.join(sorted(RESERVED))}."
            )
        return self._ensure_account(enterprise)

    def service_credentials(self, name: str, *, valid_days: int | None = None) -> str:
        """New credentials of one of this product's own processes."""
        return self._user(SERVICES_ACCOUNT, SERVICES[name], valid_days)

    def platform_credentials(self, rights: UserRights, *, valid_days: int | None = None) -> str:
        """New credentials of another service of the platform, with `permissions.platform_service` as rights."""
        return self._user(PLATFORM_ACCOUNT, rights, valid_days)

    def enterprise_credentials(self, enterprise: str, rights: UserRights, *, valid_days: int | None = None) -> str:
        """New credentials of an enterprise's client, with `permissions.enterprise_client` as rights."""
        if enterprise in RESERVED or not self._account_file(enterprise).exists():
            raise AuthorityError(f"The enterprise {enterprise[:80]!r} has no account yet. Add it first.")
        return self._user(enterprise, rights, valid_days)

    def keep_service_users(self, *, valid_days: int | None = None) -> dict[str, Path]:
        """The credentials files of this product's own processes, having made those that are missing or out of date."""
        files = {}
        for name, rights in SERVICES.items():
            files[name] = file = self.directory / f"{name}.creds"
            if not self.is_current(SERVICES_ACCOUNT, rights, file):
                write_private(file, self.service_credentials(name, valid_days=valid_days))
        return files

    def is_current(self, account: str, rights: UserRights, file: Path) -> bool:
        """True where a credentials file is of this account, allows exactly these rights, and lasts another week."""
        try:
            claims = tokens.claims_of(tokens.token_in(file.read_text()))
            about = claims["nats"]
            allowed = (about["pub"]["allow"], about["sub"]["allow"])
            lasts = claims.get("exp", math.inf) > time.time() + _RENEWED_SECONDS
        except (OSError, ValueError, KeyError, TypeError):
            return False
        issued = claims.get("iss") == self._account(account).public
        return issued and lasts and allowed == (rights.publishes(), rights.subscribes())

    def server_config(self) -> str:
        """What a server's configuration has to say about users: operator, system account, and all accounts."""
        operator = self._operator_token()
        accounts = "\n".join(f"  {public}: {token}" for public, token in self._account_tokens().items())
        return (
            f"operator: {operator}\nsystem_account: {self._system.public}\n"
            f"resolver: MEMORY\nresolver_preload: {{\n{accounts}\n}}\n"
        )

    def _operator_token(self) -> str:
        file = self.directory / "operator.jwt"
        if not file.exists():
            write_private(file, tokens.operator_token(self._operator, self._system.public) + "\n")
        return file.read_text().strip()

    def _account_tokens(self) -> Mapping[str, str]:
        services = self._account(SERVICES_ACCOUNT).public
        made = {
            self._system.public: tokens.system_account_token(self._operator, self._system.public),
            services: tokens.services_account_token(self._operator, services, SERVICES_ACCOUNT),
        }
        importing = {PLATFORM_ACCOUNT: platform_imports()} | {
            name: enterprise_imports(name) for name in self.enterprises
        }
        for name, imports in importing.items():
            public = self._account(name).public
            made[public] = self._importing(public, name, imports, services)
        return made

    def _importing(self, public: str, name: str, imports: list[Import], services: str) -> str:
        return tokens.account_token(self._operator, public, name, imports, services_account=services)

    def _user(self, account: str, rights: UserRights, valid_days: int | None) -> str:
        user = NatsKey.generate("user")
        token = tokens.user_token(self._account(account), user.public, rights, valid_days=valid_days)
        return tokens.credentials(token, user)

    def _ensure_account(self, name: str) -> bool:
        file = self._account_file(name)
        if file.exists():
            return False
        write_private(file, NatsKey.generate("account").seed + "\n")
        return True

    def _account(self, name: str) -> NatsKey:
        return self._key(f"accounts/{name}")

    def _account_file(self, name: str) -> Path:
        return self.directory / "accounts" / f"{name}.seed"

    def _key(self, name: str) -> NatsKey:
        file = self.directory / f"{name}.seed"
        try:
            return NatsKey(file.read_text().strip())
        except FileNotFoundError:
            raise AuthorityError(f"There is no {file}. Make keys with 'dibop nats init {self.directory}'.") from None
        except (OSError, ValueError) as error:
            raise AuthorityError(
                f"{file} cannot be used: {error}. Restore it from a backup: users and accounts depend on it."
            ) from error


def tls_config(certificate: Path, key: Path, client_ca: Path | None = None) -> str:
    """The TLS block of a server's configuration; with `client_ca`, clients must show a certificate of it."""
    lines = [f"  cert_file: {json.dumps(str(certificate))}", f"  key_file: {json.dumps(str(key))}"]
    if client_ca is not None:
        lines += [f"  ca_file: {json.dumps(str(client_ca))}", "  verify: true"]
    return "tls {\n" + "\n".join(lines) + "\n}\n"
