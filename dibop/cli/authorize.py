"""`dibop connection authorize`, and what `dibop connector test --authorize` shares with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dibop.cli import durations, options, output, runner

if TYPE_CHECKING:
    from dibop.client import Client
    from dibop.consent import Way
    from shared.contracts.commands import CodeExchanged, TestCredentials
    from shared.contracts.template import Template
    from shared.security.authorization import PendingAuthorization

LONGEST_WAIT = "10m"

NoBrowser = Annotated[bool, typer.Option("--no-browser", help="Print the address, and leave opening it to you.")]
Port = Annotated[
    int,
    typer.Option("--port", min=0, max=65535, help="Port of the redirect URI; a free one by default."),
]
RedirectHost = Annotated[
    Literal["127.0.0.1", "localhost"],
    typer.Option("--redirect-host", help="How the redirect URI names this machine, as it is registered."),
]
Wait = Annotated[str, typer.Option("--timeout", help="How long to wait for consent: 90s, 5m; 10m at most.")]


def authorize(
    slug: Annotated[str, typer.Argument(help="The connector's slug.", metavar="SLUG")],
    *,
    name: Annotated[str, typer.Option("--name", help="The connection's name within the connector.")] = "default",
    no_browser: NoBrowser = False,
    port: Port = 0,
    redirect_host: RedirectHost = "127.0.0.1",
    timeout: Wait = LONGEST_WAIT,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Give a connection a person's consent, for connectors with OAuth2's authorization_code grant.

    The address of the external system is printed, and opened in a browser. Where it sends the browser back to is
    http://127.0.0.1:PORT/callback, which must be registered there; most systems take any port, others want --port.
    Executors alone see the tokens. Authorizing again takes the place of what was authorized before.

    Examples: `dibop connection authorize crm`, `dibop connection authorize crm --no-browser --port 8765 --timeout 5m`
    """
    way = way_of(browser=not no_browser, host=redirect_host, port=port, timeout=timeout)

    async def work(client: Client) -> CodeExchanged:
        return await _authorize(client, slug, name, way)

    exchanged = runner.with_client(home, work)
    if as_json:
        output.print_json(exchanged.model_dump(mode="json"))
        return
    output.say(f"authorized connection {name} of {slug}{f' for {exchanged.scopes}' if exchanged.scopes else ''}")
    if not exchanged.refreshable:
        end = f"It ends at {exchanged.expires_at}: authorize" if exchanged.expires_at else "If it ends, authorize"
        output.note(f"The external system gave no refresh token. {end} again then.")


def way_of(*, browser: bool, host: Literal["127.0.0.1", "localhost"], port: int, timeout: str) -> Way:
    """How a person is asked, by the options of a command."""
    from dibop.consent import Way

    def tell(url: str) -> None:
        output.note("Give your consent at this address:")
        output.note(url)

    seconds = durations.seconds(timeout, "--timeout", most=LONGEST_WAIT)
    return Way(tell, browser=browser and output.is_interactive(), host=host, port=port, seconds=seconds)


async def for_test(
    client: Client, template: Template, given: TestCredentials | None, owner: str, way: Way
) -> TestCredentials:
    """Test credentials with what a person's consent adds to them."""
    from dibop.admin import Executors
    from dibop.consent import consented, purpose_of
    from dibop.errors import AuthorizationError
    from dibop.sealing import load_sealing_key
    from shared.contracts.commands import ExchangeTestCode
    from shared.security.authorization import seal_code

    if given is None:
        raise AuthorizationError(f"The connector {template.slug!r} takes no credentials. Leave --authorize out.")

    async def exchange(pending: PendingAuthorization, code: str) -> TestCredentials:
        key = load_sealing_key(client.context.seal_key_file)
        command = ExchangeTestCode(
            connector=template.slug,
            credentials=given,
            redirect_uri=pending.redirect_uri,
            kid=key.kid,
            sealed=seal_code(pending, code, key, given.origin),
        )
        return (await Executors(client, owner).exchange_test_code(command)).credentials

    purpose = purpose_of(client, owner, template.slug, given.id, enterprise=owner)
    return await consented(template, given.values, purpose, way, exchange)


async def _authorize(client: Client, slug: str, name: str, way: Way) -> CodeExchanged:
    from dibop.admin import Executors, Registry
    from dibop.cli import credentials
    from dibop.consent import consented, purpose_of
    from dibop.sealing import load_sealing_key
    from shared.contracts.commands import ExchangeCode
    from shared.security.authorization import seal_code

    connection = await Registry(client, client.enterprise).connection(slug, name)
    template = await credentials.template_of(client, connection)

    async def exchange(pending: PendingAuthorization, code: str) -> CodeExchanged:
        key = load_sealing_key(client.context.seal_key_file)
        command = ExchangeCode(
            connector=slug,
            connection=name,
            id=connection.id,
            redirect_uri=pending.redirect_uri,
            kid=key.kid,
            sealed=seal_code(pending, code, key, connection.origin),
        )
        return await Executors(client, client.enterprise).exchange_code(command)

    purpose = purpose_of(client, connection.owner, slug, connection.id, enterprise=connection.enterprise)
    return await consented(template, connection.fields, purpose, way, exchange)
