"""`dibop connection`: the credentials with which an enterprise uses a connector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dibop.cli import authorize, following, options, output, ping, runner

if TYPE_CHECKING:
    from dibop.client import Client
    from shared.contracts.commands import Connection, ConnectionDeleted

app = typer.Typer(help="Connect your enterprise to connectors.", no_args_is_help=True)
app.command()(authorize.authorize)
app.command()(ping.ping)
app.command()(following.update)
app.command("default")(following.make_default)
app.command()(following.consent)

Slug = Annotated[str, typer.Argument(help="The connector's slug.", metavar="SLUG")]
Name = Annotated[str, typer.Option("--name", help="The connection's name within the connector.")]


@app.command()
def create(
    slug: Slug,
    *,
    name: Name = "default",
    credentials_file: options.CredentialsFile = None,
    policy: Annotated[
        str | None, typer.Option("--version-policy", help="`^1` follows version 1.x, `1.2.0` stays with it.")
    ] = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Make a connection. Credentials are sealed here, for executors alone; nobody can read them back.

    They come from a file or standard input, or are asked for on a terminal.

    Examples: `dibop connection create openweathermap --credentials-file key.yaml`,
    `pass show weather | dibop connection create openweathermap --name backup --credentials-file -`
    """

    async def work(client: Client) -> tuple[Connection, bool]:
        from dibop.admin import Registry
        from dibop.cli import credentials

        owner, template, found_policy = await credentials.connectable_template(client, slug)
        command = credentials.for_connection(
            client, template, owner, name=name, policy=policy or found_policy, file=credentials_file
        )
        created = await Registry(client, client.enterprise).create_connection(command)
        return created, template.grant_type == "authorization_code"

    connection, needs_consent = runner.with_client(home, work)
    if as_json:
        output.print_json(connection.model_dump(mode="json"))
    else:
        output.say(f"created connection {connection.name} of {connection.connector} to {connection.origin}")
    if needs_consent:
        named = "" if name == "default" else f" --name {name}"
        output.note(f"It needs a person's consent before it can be used: dibop connection authorize {slug}{named}")


@app.command("list")
def list_(
    *,
    slug: Annotated[str | None, typer.Argument(help="Only those of this connector.", metavar="[SLUG]")] = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """List your enterprise's connections and how they do. Of secrets at most the last four characters are shown.

    A connection is degraded while a circuit of it is not closed, auth_error while its credentials are turned down,
    offline after a ping without a good answer, and unchecked until something was sent through it.

    Example: `dibop connection list openweathermap`
    """

    async def work(client: Client) -> list[Connection]:
        from dibop.admin import Registry

        return await Registry(client, client.enterprise).connections(slug)

    rows = runner.with_client(home, work)
    if as_json:
        output.print_json([row.model_dump(mode="json") for row in rows])
        return
    output.print_table(
        ["connector", "name", "versions", "address", "fields", "health", "since", "made by", "at"],
        [
            (
                r.connector,
                f"{r.name} (default)" if r.default else r.name,
                f"{r.version_policy} (consent needed: {r.consent_needed.version})"
                if r.consent_needed
                else r.version_policy,
                r.origin,
                ", ".join(f"{name}={value}" for name, value in r.fields.items()),
                f"{r.health.state} ({r.health.cause})" if r.health.cause else r.health.state,
                r.health.since,
                r.created_by,
                r.created_at,
            )
            for r in rows
        ],
        "There is no connection yet. Make one with: dibop connection create SLUG",
    )


@app.command()
def show(
    slug: Slug,
    *,
    name: Annotated[str | None, typer.Option("--name", help="The connection's name; the default one else.")] = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Show one connection: its address, its fields, when its credentials were rotated, and how it does.

    Example: `dibop connection show openweathermap --name backup`
    """

    async def work(client: Client) -> Connection:
        from dibop.admin import Registry

        return await Registry(client, client.enterprise).connection(slug, name)

    connection = runner.with_client(home, work)
    if as_json:
        output.print_json(connection.model_dump(mode="json"))
        return
    for label, value in _described(connection).items():
        output.say(f"{label:<12} {value}")
    following.note_consent(connection)


@app.command()
def rotate(
    slug: Slug,
    *,
    name: Name = "default",
    credentials_file: options.CredentialsFile = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Give a connection other credentials. Requests go on meanwhile, and use the new ones from the answer on.

    All fields are given anew, from a file or standard input, or are asked for on a terminal. What was authorized with
    the old ones is authorized anew.

    Examples: `dibop connection rotate openweathermap --credentials-file key.yaml`,
    `pass show weather | dibop connection rotate openweathermap --name backup --credentials-file -`
    """

    async def work(client: Client) -> Connection:
        from dibop.admin import Registry
        from dibop.cli import credentials

        registry = Registry(client, client.enterprise)
        command = await credentials.for_rotation(client, await registry.connection(slug, name), credentials_file)
        return await registry.rotate_connection(command)

    connection = runner.with_client(home, work)
    if as_json:
        output.print_json(connection.model_dump(mode="json"))
    else:
        output.say(f"rotated the credentials of connection {connection.name} of {connection.connector}")


@app.command()
def delete(
    slug: Slug,
    name: Name = "default",
    yes: options.Yes = False,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Delete a connection and its credentials.

    Example: `dibop connection delete openweathermap --name backup --yes`
    """
    if not yes and output.is_interactive():
        typer.confirm(f"Delete the connection {name} of {slug}, with its credentials?", abort=True, err=True)

    async def work(client: Client) -> ConnectionDeleted:
        from dibop.admin import Registry

        return await Registry(client, client.enterprise).delete_connection(slug, name)

    deleted = runner.with_client(home, work)
    if as_json:
        output.print_json(deleted.model_dump(mode="json"))
    else:
        output.say(f"deleted connection {deleted.name} of {deleted.connector}")


def _described(connection: Connection) -> dict[str, str]:
    """A connection by the labels that people read; what it has none of is left out."""
    health, token = connection.health, connection.token
    said = {
        "connection": f"{connection.name} of {connection.owner}.{connection.connector}",
        "id": connection.id,
        "versions": connection.version_policy,
        "default": "it runs where none is named" if connection.default else "",
        "address": connection.origin,
        "fields": ", ".join(f"{name}={value}" for name, value in connection.fields.items()),
        "created": f"{connection.created_at} by {connection.created_by}",
        "rotated": f"{connection.rotated_at} by {connection.rotated_by}" if connection.rotated_at else "",
        "consented": _consented(connection),
        "authorized": f"{token.stored_at}{f' for {token.scopes}' if token.scopes else ''}" if token else "",
        "health": " ".join(
            part
            for part in (
                health.state,
                f"since {health.since}" if health.since else "",
                f"({health.cause})" if health.cause else "",
            )
            if part
        ),
    }
    return {label: value for label, value in said.items() if value}


def _consented(connection: Connection) -> str:
    consent = connection.consent
    return "" if consent is None else f"{consent.at} by {consent.by}, to {consent.version or 'the draft'}"
