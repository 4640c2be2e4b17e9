"""The NATS users of a local stack: made once, made anew where a version changes what one may do."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dibop.context import Context
from dibop.errors import LocalStackError
from dibop.local.binaries import nats_config
from dibop.local.home import Home, StackState
from dibop.local.keys import ENTERPRISE
from dibop.local.ports import NATS
from shared.contracts.names import PLATFORM
from shared.files import write_private
from shared.messaging.access.authority import Authority, AuthorityError
from shared.messaging.access.permissions import SERVICES, enterprise_client

CLIENT: Final = enterprise_client(ENTERPRISE, "admin", platform_admin=True)
"""Who types commands here: it speaks for `local` and for the platform."""
CLIENT_CREDS: Final = ENTERPRISE
OPERATOR: Final = SERVICES["operator"]
_FROM_ENVIRONMENT: Final = ("url", "creds", "inbox_prefix", "tls_ca", "tls_cert", "tls_key")
_UNGUARDED: Final = "$G"
"""The account of a server that asks nobody who they are."""


def ensure(home: Home) -> Authority:
    """Make the keys and credentials that are missing or out of date; LocalStackError where keys are damaged."""
    try:
        authority = Authority.ensure(home.nats_keys)
        authority.add_enterprise(ENTERPRISE)
        authority.keep_service_users()
        if not authority.is_current(ENTERPRISE, CLIENT, home.nats_creds(CLIENT_CREDS)):
            write_private(home.nats_creds(CLIENT_CREDS), authority.enterprise_credentials(ENTERPRISE, CLIENT))
    except AuthorityError as error:
        raise LocalStackError(str(error)) from error
    return authority


def write_server_config(home: Home, port: int, authority: Authority) -> Path:
    """The NATS server's configuration, which lets in the users of `authority` alone; it holds no secret."""
    store, config = home.nats / "jetstream", home.nats / "nats.conf"
    config.write_text(nats_config(port=port, store=store) + authority.server_config())
    return config


def reload_server(home: Home, authority: Authority) -> bool:
    """Let a running stack's NATS server know all accounts there are; False where no stack runs."""
    state = StackState.read(home)
    server = next((part for part in state.parts if part.name == NATS), None) if state else None
    if server is None or server.process is None or server.address is None:
        return False
    write_server_config(home, int(server.address.rpartition(":")[2]), authority)
    server.process.signal(signal.SIGHUP)
    return True


def adopt_streams(store: Path, authority: Authority) -> None:
    """Give the services' account what a server without users has stored: streams and buckets belong to an account."""
    streams = store / "jetstream"
    theirs = streams / authority.services_account
    if (streams / _UNGUARDED).is_dir() and not theirs.exists():
        (streams / _UNGUARDED).rename(theirs)


def operator_context(home: Home, environment: Mapping[str, str] = os.environ) -> Context:
    """How whoever runs the platform reaches NATS: as the environment says (`DIBOP_NATS_…`), else as the home does."""
    own = home.nats_creds(OPERATOR.name)
    given = {f"nats_{name}": environment.get(f"DIBOP_NATS_{name.upper()}") or None for name in _FROM_ENVIRONMENT}
    given["nats_creds"] = given["nats_creds"] or (str(own) if own.is_file() else None)
    given["nats_inbox_prefix"] = given["nats_inbox_prefix"] or OPERATOR.inbox_prefix
    return Context.load(home.root, enterprise=PLATFORM, **given)
