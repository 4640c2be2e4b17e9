"""`dibop calls`: what was executed, and how it went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dibop.cli import durations, options, output, runner

if TYPE_CHECKING:
    from dibop.client import Client
    from shared.contracts.commands import Call


def register(app: typer.Typer) -> None:
    app.command("calls")(calls)


def calls(
    *,
    connector: Annotated[str | None, typer.Option("--connector", help="Of this connector alone.")] = None,
    operation: Annotated[str | None, typer.Option("--operation", help="Of this operation alone.")] = None,
    connection: Annotated[str | None, typer.Option("--connection", help="Over this connection alone.")] = None,
    outcome: Annotated[
        str | None,
        typer.Option("--outcome", help="succeeded, failed (status 400 and above), error, or an error's code."),
    ] = None,
    status: Annotated[str | None, typer.Option("--status", help="A status, as 404, or a class, as 5xx.")] = None,
    request_id: Annotated[str | None, typer.Option("--request-id", help="Of this request alone.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="How long ago at most: 90s, 10m, 8h, 7d.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many, the newest first.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is executed, until Ctrl-C.")] = False,
    owner: options.Owner = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """List executions of your enterprise's operations, the newest first: how each ended and how long it took.

    What was sent and answered is not kept. Calls appear within a second or two, and are kept for 7 days.
    With `--follow` the newest come last, and with `--json` each line is a call.

    Examples: `dibop calls --connector crm --outcome error --since 1h`, `dibop calls --follow --status 5xx`
    """
    if status is not None and not _is_status(status):
        runner.wrong_usage(f"--status {status!r} must be a status, as 404, or a class of them, as 5xx.")
    ago = None if since is None else durations.seconds(since, "--since", most="366d")

    async def work(client: Client) -> list[Call]:
        from dibop.admin import Registry
        from dibop.calls import follow as following
        from shared.contracts.commands import ListCalls
        from shared.contracts.names import PLATFORM

        query = ListCalls(
            connector=connector,
            operation=operation,
            connection=connection,
            outcome=outcome,
            status=status,
            request_id=request_id,
            since=None if ago is None else _before(ago),
        )
        enterprise = PLATFORM if owner == PLATFORM else client.enterprise
        if follow:
            output.note("following; Ctrl-C ends")
            async for call in following(client, enterprise, query, limit):
                _print(call, as_json)
        return await Registry(client, enterprise).calls(query, limit)

    found = runner.with_client(home, work)
    if as_json:
        output.print_json([each.model_dump(mode="json") for each in found])
        return
    output.print_table(
        ["started", "connector", "operation", "connection", "outcome", "status", "took", "attempts", "request id"],
        [_row(each) for each in found],
        "No such calls. They appear a second or two after they were answered.",
    )


def _print(call: Call, as_json: bool) -> None:
    import sys

    if as_json:
        sys.stdout.write(call.model_dump_json() + "\n")
        sys.stdout.flush()
    else:
        output.say("  ".join("-" if cell is None else str(cell) for cell in _row(call)))


def _row(call: Call) -> tuple[object, ...]:
    version = f" {call.version}" if call.version else ""
    return (
        call.started_at,
        f"{call.connector}{version}",
        call.operation,
        call.connection,
        call.outcome,
        call.status,
        f"{call.duration_ms:.0f} ms",
        call.attempts,
        call.request_id,
    )


def _is_status(text: str) -> bool:
    import re

    return re.fullmatch(r"[1-5]([0-9]{2}|xx)", text, re.ASCII) is not None


def _before(seconds: int) -> str:
    from datetime import UTC, datetime, timedelta

    from shared.contracts.clock import spelled

    return spelled(datetime.now(UTC) - timedelta(seconds=seconds))
