"""`dibop nats`: the users of a NATS server, and what the server is told of them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dibop.cli import options, output, runner

if TYPE_CHECKING:
    from shared.messaging.access.authority import Authority
    from shared.messaging.access.permissions import UserRights

app = typer.Typer(help="Make NATS users, and the server configuration that lets them in.", no_args_is_help=True)

Keys = Annotated[
    Path | None,
    typer.Option("--keys", help="Directory of the keys; the home's by default.", metavar="DIR", file_okay=False),
]
Out = Annotated[Path, typer.Option("--out", help="The credentials file to write.", metavar="FILE", dir_okay=False)]
Days = Annotated[int | None, typer.Option("--days", min=1, help="Valid for so many days; for ever by default.")]


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(help="Where keys and credentials go; closed to others.", metavar="DIR")],
    days: Days = None,
) -> None:
    """Make the keys of a new NATS system, and credentials for every service.

    Keep the directory as you keep a root password: whoever reads it can make any user. Servers and services need
    none of it but their own credentials. Repeating it makes what is missing, what ends within a week, and what has
    other rights than this version needs.

    Example: `dibop nats init keys/nats`
    """
    from shared.messaging.access.authority import Authority
    from shared.messaging.access.permissions import SERVICES

    with _told():
        files = Authority.ensure(directory).keep_service_users(valid_days=days)
    for name, file in files.items():
        output.say(f"{name:<12} DIBOP_NATS_CREDS={file} DIBOP_NATS_INBOX_PREFIX={SERVICES[name].inbox_prefix}")
    output.note(f"configure the servers with: dibop nats config --keys {directory}")


@app.command()
def add_client(
    enterprise: Annotated[str, typer.Argument(help="The enterprise that it speaks for.")],
    *,
    out: Out,
    name: Annotated[str, typer.Option("--name", help="The user's name within its enterprise.")] = "client",
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Execute this connector or `connector.operation` alone; may be repeated."),
    ] = None,
    consumer: Annotated[
        list[str] | None, typer.Option("--consumer", help="A durable consumer of events of its own; may be repeated.")
    ] = None,
    platform_admin: Annotated[bool, typer.Option("--platform-admin", help="Speak for the platform as well.")] = False,
    days: Days = None,
    keys: Keys = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Make a user for a client of an enterprise. A running local stack lets it in at once.

    Examples: `dibop nats add-client acme --out acme.creds`,
    `dibop nats add-client acme --name billing --only crm --only weather.get --days 90 --out billing.creds`
    """
    from shared.messaging.access.permissions import enterprise_client

    _require_tokens(name, *(consumer or ()), *(token for each in only or () for token in each.split(".", 1)))
    with _told():
        authority = _authority(keys, home)
        is_new = authority.add_enterprise(enterprise)
        rights = enterprise_client(
            enterprise, name, operations=only or (), consumers=consumer or (), platform_admin=platform_admin
        )
        credentials = authority.enterprise_credentials(enterprise, rights, valid_days=days)
    _write(out, credentials, rights, as_json=as_json)
    if is_new:
        _tell_servers(authority, keys, home)


@app.command()
def add_service(
    name: Annotated[str, typer.Argument(help="The service's name.")],
    *,
    out: Out,
    source: Annotated[
        list[str] | None,
        typer.Option("--source", help="It may tell `evt.v1.<enterprise>.ext.<source>.>`; may be repeated."),
    ] = None,
    days: Days = None,
    keys: Keys = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Make a user for another service of the platform, which tells of enterprises and of events elsewhere.

    Example: `dibop nats add-service crm-sync --source crm --out crm-sync.creds`
    """
    from shared.messaging.access.permissions import SERVICES, platform_service

    _require_tokens(name, *(source or ()))
    if name in SERVICES:
        runner.wrong_usage(f"{name} is a service of this product: 'dibop nats init' makes its user.")
    with _told():
        rights = platform_service(name, source or ())
        credentials = _authority(keys, home).platform_credentials(rights, valid_days=days)
    _write(out, credentials, rights, as_json=as_json)


@app.command()
def config(
    *,
    port: Annotated[int, typer.Option("--port", min=1, max=65_535, help="Where it listens.")] = 4222,
    host: Annotated[str, typer.Option("--host", help="The address it listens on; this machine alone by default.")] = (
        "127.0.0.1"
    ),
    store: Annotated[Path, typer.Option("--store", help="Where streams are kept.")] = Path("/var/lib/nats"),
    server_name: Annotated[str, typer.Option("--name", help="The server's name, unique in its cluster.")] = "dibop",
    tls_cert: Annotated[Path | None, typer.Option("--tls-cert", help="Its certificate (PEM): TLS alone then.")] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", help="The certificate's key (PEM).")] = None,
    tls_client_ca: Annotated[
        Path | None, typer.Option("--tls-client-ca", help="Clients must show a certificate of this authority (PEM).")
    ] = None,
    keys: Keys = None,
    home: options.Home = None,
) -> None:
    """Print a NATS server's configuration: users, JetStream, limits, TLS. It holds no secret.

    Run it again after an enterprise was added, and reload the servers: `nats-server --signal reload`.

    Example: `dibop nats config --keys keys/nats --host 0.0.0.0 --tls-cert tls.crt --tls-key tls.key > nats.conf`
    """
    from dibop.local.binaries import nats_config
    from shared.messaging.access.authority import tls_config

    if (tls_cert is None) is not (tls_key is None) or (tls_client_ca and tls_cert is None):
        runner.wrong_usage("--tls-cert and --tls-key belong together, and --tls-client-ca needs them.")
    with _told():
        users = _authority(keys, home).server_config()
    tls = tls_config(tls_cert, tls_key, tls_client_ca) if tls_cert and tls_key else ""
    sys.stdout.write(nats_config(port=port, host=host, store=store, name=server_name) + tls + users)


def _require_tokens(*names: str) -> None:
    """Each becomes one token of a subject: no dot, no wildcard."""
    from shared.contracts.names import is_token

    for name in names:
        if not is_token(name):
            runner.wrong_usage(f"{name[:80]!r} is not a name: a-z first, then at most 62 of a-z, 0-9, '_' and '-'.")


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What is wrong with keys or names, as an error of this command."""
    from dibop.errors import NatsKeysError
    from shared.messaging.access.authority import AuthorityError

    try:
        yield
    except AuthorityError as error:
        raise NatsKeysError(str(error)) from error


def _authority(keys: Path | None, home: str | None) -> Authority:
    from dibop.local.home import Home
    from shared.messaging.access.authority import Authority

    return Authority(keys or Home.of(home).nats_keys)


def _write(out: Path, credentials: str, rights: UserRights, *, as_json: bool) -> None:
    from shared.files import write_private

    write_private(out.absolute(), credentials)
    if as_json:
        output.print_json(
            {"user": rights.name, "nats_creds": str(out.absolute()), "nats_inbox_prefix": rights.inbox_prefix}
        )
    else:
        output.say(f"{rights.name}, {rights.who}: {out}")
        output.say(f"its inboxes begin with {rights.inbox_prefix}")


def _tell_servers(authority: Authority, keys: Path | None, home: str | None) -> None:
    """A new enterprise has a new account, which servers learn from their configuration."""
    from dibop.local.home import Home
    from dibop.local.nats_users import reload_server

    if keys is not None:
        output.note(f"new account: renew the servers' configuration with 'dibop nats config --keys {keys}' and reload")
    elif reload_server(Home.of(home), authority):
        output.note("the running stack's NATS server knows it")
