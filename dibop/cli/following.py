"""`dibop connection update`, `default` and `consent`: which versions a connection follows, and on which terms."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from dibop.cli import options, output, runner

if TYPE_CHECKING:
    from dibop.client import Client
    from shared.contracts.commands import Connection, Consented, UpdateConnection

Slug = Annotated[str, typer.Argument(help="The connector's slug.", metavar="SLUG")]
Name = Annotated[str, typer.Option("--name", help="The connection's name within the connector.")]


def update(
    slug: Slug,
    *,
    name: Name = "default",
    policy: Annotated[
        str | None, typer.Option("--version-policy", help="`^1` follows version 1.x, `1.2.0` stays with it.")
    ] = None,
    default: Annotated[bool, typer.Option("--default", help="Make it the one that runs where none is named.")] = False,
    generation: Annotated[
        int | None, typer.Option("--generation", help="Refuse if the connection has changed since this one.")
    ] = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Change which versions a connection follows, or make it the default.

    A version that sends credentials elsewhere or otherwise is not taken up before `dibop connection consent`.

    Examples: `dibop connection update crm --version-policy ^2`,
    `dibop connection update crm --name production --version-policy 1.4.0 --default`
    """
    if policy is None and not default:
        runner.wrong_usage("Say what to change: --version-policy or --default.")

    def command(found: Connection) -> UpdateConnection:
        from shared.contracts.commands import UpdateConnection

        return UpdateConnection(
            connector=slug,
            name=name,
            generation=generation or found.generation,
            version_policy=policy,
            default=True if default else None,
        )

    _told(_updated(slug, name, command, home), as_json=as_json)


def make_default(
    slug: Slug,
    name: Annotated[str, typer.Argument(help="The connection that runs where none is named.", metavar="NAME")],
    *,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Have a connection run where none is named, in place of the one that does now.

    Example: `dibop connection default crm production`
    """

    def command(found: Connection) -> UpdateConnection:
        from shared.contracts.commands import UpdateConnection

        return UpdateConnection(connector=slug, name=name, generation=found.generation, default=True)

    _told(_updated(slug, name, command, home), as_json=as_json)


def consent(
    slug: Slug,
    *,
    name: Name = "default",
    yes: options.Yes = False,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Let a connection's credentials be sent as another version of the connector sends them.

    It shows what is different (the host, how they are sent) and asks. An executor seals them for the new address.

    Examples: `dibop connection consent crm --name production`, `dibop connection consent crm --yes --json`
    """

    async def look(client: Client) -> Connection:
        from dibop.admin import Registry

        return await Registry(client, client.enterprise).connection(slug, name)

    found = runner.with_client(home, look)
    needed = found.consent_needed
    if needed is None:
        output.note(f"connection {name} of {slug} needs no consent: it runs what {found.version_policy} takes")
        if as_json:
            output.print_json({"connector": slug, "connection": name, "version": None, "changes": []})
        return
    output.note(f"version {needed.version} of {slug} differs from what connection {name} has consented to:")
    for change in needed.changes:
        output.note(f"  - {change}")
    if not yes:
        if not output.is_interactive():
            runner.wrong_usage("Nobody can be asked here: repeat with --yes if the credentials may be sent so.")
        typer.confirm("Send the credentials so from now on?", abort=True, err=True)

    async def work(client: Client) -> Consented:
        from dibop.admin import Executors
        from shared.contracts.commands import ConsentConnection

        command = ConsentConnection(connector=slug, connection=name, version=needed.version)
        return await Executors(client, client.enterprise).consent(command)

    consented = runner.with_client(home, work)
    if as_json:
        output.print_json(consented.model_dump(mode="json"))
    else:
        output.say(
            f"connection {consented.connection} of {consented.connector} runs version {consented.version}, and sends "
            f"its credentials to {consented.origin}"
        )


def _updated(slug: str, name: str, command: Callable[[Connection], UpdateConnection], home: str | None) -> Connection:
    async def work(client: Client) -> Connection:
        from dibop.admin import Registry

        registry = Registry(client, client.enterprise)
        return await registry.update_connection(command(await registry.connection(slug, name)))

    return runner.with_client(home, work)


def _told(connection: Connection, *, as_json: bool) -> None:
    if as_json:
        output.print_json(connection.model_dump(mode="json"))
        return
    default = ", and runs where none is named" if connection.default else ""
    output.say(f"connection {connection.name} of {connection.connector} follows {connection.version_policy}{default}")
    note_consent(connection)


def note_consent(connection: Connection) -> None:
    """Say what waits for the owner's consent."""
    needed = connection.consent_needed
    if needed is None:
        return
    named = "" if connection.name == "default" else f" --name {connection.name}"
    stays = f"; it stays with {connection.consent.version}" if connection.consent and connection.consent.version else ""
    output.note(
        f"It needs consent to version {needed.version} ({'; '.join(needed.changes)}){stays}. "
        f"Look and consent: dibop connection consent {connection.connector}{named}"
    )
