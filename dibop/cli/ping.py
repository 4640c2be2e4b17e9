"""`dibop connection ping`: whether external systems can be reached, and take the credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dibop.cli import options, output, runner

if TYPE_CHECKING:
    from dibop.client import Client
    from dibop.pinging import Pinged


def ping(
    slug: Annotated[str | None, typer.Argument(help="The connector's slug.", metavar="[SLUG]")] = None,
    *,
    name: Annotated[str | None, typer.Option("--name", help="The connection's name; the default one else.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All connections, or all of this connector.")] = False,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, max=64, help="How many at a time.")] = 8,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Ask external systems whether they are there, and whether they take the credentials: step by step.

    The connector's health_check operation is run with its sample values; without one the base URL is asked. What is
    found stands in the connection's health. It ends with exit code 1 if any is not online.

    Examples: `dibop connection ping openweathermap`, `dibop connection ping crm --name sandbox`,
    `dibop connection ping --all --concurrency 16 --json`
    """
    if slug is None and not every:
        runner.wrong_usage("Name a connector, or ping all connections with --all.")
    if every and name is not None:
        runner.wrong_usage("--all pings every name: leave --name out.")

    async def work(client: Client) -> list[Pinged]:
        from dibop.admin import Executors, Registry
        from dibop.pinging import ping_all

        registry = Registry(client, client.enterprise)
        if every:
            targets = [(each.connector, each.name) for each in await registry.connections(slug)]
        else:
            found = await registry.connection(slug or "", name)
            targets = [(found.connector, found.name)]
        executors = Executors(client, client.enterprise)
        on_pinged = _line if every and not as_json else _no_line
        return await ping_all(executors, targets, at_once=concurrency, on_pinged=on_pinged)

    pinged = runner.with_client(home, work)
    if as_json:
        output.print_json([each.told() for each in pinged] if every else pinged[0].told())
    elif every:
        output.print_table(
            ["connector", "connection", "outcome", "took", "because"],
            [(each.connector, each.connection, each.outcome, _took(each), each.why or None) for each in pinged],
            "There is no connection to ping. Make one with: dibop connection create SLUG",
        )
    else:
        _show(pinged[0])
    if not all(each.online for each in pinged):
        runner.fail()


def _show(pinged: Pinged) -> None:
    """One ping with all its steps."""
    if pinged.error is not None:
        raise pinged.error
    output.say(f"{pinged.connector} {pinged.connection}: {pinged.outcome} ({_took(pinged)})")
    output.print_table(
        ["step", "outcome", "took", "because"],
        [
            (
                each.step,
                each.outcome,
                None if each.duration_ms is None else f"{each.duration_ms:.1f} ms",
                each.reason,
            )
            for each in (pinged.found.steps if pinged.found is not None else [])
        ],
        "",
    )


def _line(pinged: Pinged) -> None:
    output.note(f"{pinged.connector} {pinged.connection}: {pinged.outcome} ({_took(pinged)})")


def _no_line(_pinged: Pinged) -> None:
    """Programs read the whole at the end."""


def _took(pinged: Pinged) -> str | None:
    return None if pinged.found is None else f"{pinged.found.duration_ms:.0f} ms"
