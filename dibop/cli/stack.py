"""`dibop up`, `down`, `status`, `migrate`, `doctor`: the local stack."""

from __future__ import annotations

from typing import Annotated

import typer

from dibop.cli import options, output, runner


def register(app: typer.Typer) -> None:
    for command in (up, down, status, migrate, doctor):
        app.command()(command)


def up(
    home: options.Home = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Take the demo connector from draft to an executed operation.")
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when ready; the stack runs on.")] = False,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="How many executors.")] = 2,
    report_fd: Annotated[int | None, typer.Option("--report-fd", hidden=True)] = None,
) -> None:
    """Start everything on this machine: NATS, Redis, registry, publisher, executors, a demo weather API.

    Serves until Ctrl-C, which drains and stops all of it. Ports are free ones, kept for the next start.

    Examples: `dibop up --demo`, `dibop up --detach --home /srv/dibop --workers 4`
    """
    from dibop.cli.up import up_detached, up_foreground

    if detach:
        up_detached(home, workers=workers, demo=demo)
    else:
        up_foreground(home, workers=workers, demo=demo, report_fd=report_fd)


def down(home: options.Home = None) -> None:
    """Stop the stack that runs in a home, and wait until it is gone.

    Example: `dibop down --home /srv/dibop`
    """
    from dibop.cli.up import stop_running

    stop_running(home)


def status(home: options.Home = None, json: options.Json = False) -> None:
    """Show the parts of the running stack; exit code 1 where none runs.

    Example: `dibop status --json`
    """
    from dibop.local.home import Home, StackState
    from dibop.local.stack import part_row

    where = Home.of(home)
    state = StackState.read(where)
    rows = [part_row(part) for part in state.parts] if state else []
    if json:
        output.print_json(
            {
                "home": str(where.root),
                "running": state is not None,
                "ready": state is not None and state.ready,
                "pid": state.supervisor.pid if state else None,
                "version": state.version if state else None,
                "parts": rows,
            }
        )
    elif state is None:
        output.note(f"No stack runs in {where.root}. Start one with: dibop up --home {where.root}")
    else:
        output.print_table(
            ["part", "state", "pid", "address", "uptime", "restarts"],
            [
                (r["part"], r["state"], r["pid"], r["address"], output.duration(r["uptime_seconds"]), r["restarts"])
                for r in rows
            ],
            "The stack is starting.",
        )
    if state is None:
        runner.fail()


def migrate(home: options.Home = None) -> None:
    """Bring databases, streams and buckets to what this version needs. Repeating it changes nothing.

    Databases are those of DIBOP_REGISTRY_DATABASE_URL and DIBOP_PUBLISHER_DATABASE_URL, else the home's files.
    NATS is the context's, or that of DIBOP_NATS_URL.

    Example: `dibop migrate --home /srv/dibop`
    """
    from dibop.local.migration import migrate_all

    runner.quieten_libraries()
    runner.run(migrate_all(home, lambda name, result: output.say(f"{name}: {result}")))


def doctor(home: options.Home = None, json: options.Json = False) -> None:
    """Check everything that a stack needs, and say how to mend what is wrong; exit code 1 on any problem.

    Example: `dibop doctor --home /srv/dibop`
    """
    from dibop.local.doctor import examine

    checks = runner.run(examine(home))
    if json:
        output.print_json([check.as_dict() for check in checks])
    else:
        rows = [(check.name, "ok" if check.ok else "problem", check.detail, check.mend or "") for check in checks]
        output.print_table(["check", "result", "found", "mend"], rows, "Nothing to check.")
    if not all(check.ok for check in checks):
        runner.fail()
