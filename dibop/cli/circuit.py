"""`dibop circuit`: circuits, cooldowns and limits of connections, for operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dibop.cli import options, output, runner

if TYPE_CHECKING:
    from dibop.client import Client
    from shared.contracts.commands import Circuit, Circuits, CircuitsReset, LimitUse

app = typer.Typer(help="See and reset circuits, cooldowns and limits.", no_args_is_help=True)

Slug = Annotated[str, typer.Argument(help="The connector's slug.", metavar="CONNECTOR")]
Name = Annotated[
    str | None,
    typer.Option("--connection", help="The connection's name; the default one, or calls without one, by default."),
]
Operation = Annotated[
    str | None,
    typer.Option("--operation", help="Only what this operation counts against: its own circuit, if it has one."),
]
_AUDIT = {
    "waiting": "The registry is away: the executor repeats the audit entry for 15 minutes, and logs it if that fails.",
    "off": "There is no audit entry: the executor has no token to write it with (DIBOP_SERVICE_TOKEN_FILE).",
}


@app.command()
def show(
    slug: Slug,
    *,
    connection: Name = None,
    operation: Operation = None,
    enterprise: Annotated[
        str | None, typer.Option("--enterprise", help="Another enterprise's: for Platform Admins.")
    ] = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Show a connection's circuits: their state, what opened them, cooldowns, and how much of each limit is used.

    Examples: `dibop circuit show openweathermap`, `dibop circuit show openweathermap --connection backup --json`
    """

    async def work(client: Client) -> Circuits:
        from dibop.admin import Executors
        from shared.contracts.commands import ShowCircuits

        query = ShowCircuits(connector=slug, connection=connection, operation=operation)
        return await Executors(client, enterprise or client.enterprise).circuits(query)

    circuits = runner.with_client(home, work)
    if as_json:
        output.print_json(circuits.model_dump(mode="json"))
        return
    output.note(f"{_whose(circuits)}, version {circuits.version}")
    output.print_table(
        ["circuit of", "state", "failures", "for", "because", "probe in", "cooldown", "permits used in a minute"],
        [_row(circuit) for circuit in circuits.circuits],
        "This connector has no operation.",
    )


@app.command()
def reset(
    slug: Slug,
    *,
    connection: Name = None,
    operation: Operation = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Close a connection's circuits and end its cooldowns: attempts go out again at once. It leaves an audit entry.

    Permits that are spent stay spent, so that no limit is broken.

    Examples: `dibop circuit reset openweathermap`, `dibop circuit reset openweathermap --operation forecast`
    """

    async def work(client: Client) -> CircuitsReset:
        from dibop.admin import Executors
        from shared.contracts.commands import ResetCircuits

        command = ResetCircuits(connector=slug, connection=connection, operation=operation)
        return await Executors(client, client.enterprise).reset_circuits(command)

    done = runner.with_client(home, work)
    if as_json:
        output.print_json(done.model_dump(mode="json"))
        return
    for circuit in done.before.circuits:
        cooldown = f", cooldown {_seconds(circuit.cooldown_ms)}" if circuit.cooldown_ms else ""
        was = circuit.state + (f" ({circuit.cause})" if circuit.cause else "") + cooldown
        output.say(f"reset {circuit.operation or 'the circuit'} of {_whose(done.before)}: it was {was}")
    if done.audit in _AUDIT:
        output.note(_AUDIT[done.audit])


def _whose(circuits: Circuits) -> str:
    connection = f"connection {circuits.connection}" if circuits.connection else "calls without a connection"
    return f"{connection} of {circuits.enterprise} to {circuits.owner}.{circuits.connector}"


def _row(circuit: Circuit) -> tuple[str | None, ...]:
    closed = circuit.state == "closed"
    return (
        circuit.operation or "the connection",
        circuit.state,
        f"{circuit.failures} of {circuit.threshold}" if circuit.threshold else "never opens",
        None if closed else _seconds(circuit.since_ms),
        circuit.cause or None,
        None if closed else _seconds(circuit.retry_after_ms),
        _cooldown(circuit),
        "; ".join(_used(limit) for limit in circuit.limits) or "no limit",
    )


def _cooldown(circuit: Circuit) -> str | None:
    if not circuit.cooldown_ms:
        return None
    why = f" ({circuit.cooldown_cause})" if circuit.cooldown_cause else ""
    return _seconds(circuit.cooldown_ms) + why


def _used(limit: LimitUse) -> str:
    waiting = f", {limit.waiting} of them to come" if limit.waiting else ""
    return f"{limit.of} {limit.used} of {limit.rate}{waiting}"


def _seconds(milliseconds: int) -> str:
    return output.duration(milliseconds / 1000)
