"""The command line's entry point: its commands, and how failures leave the process."""

from __future__ import annotations

import os
import sys
from typing import Final

import typer

from dibop.cli import (
    audit,
    calls,
    circuit,
    connection,
    connector,
    console,
    draft,
    enterprise,
    events,
    execute,
    keys,
    nats,
    output,
    projections,
    review,
    stack,
    test,
    token,
)
from shared.contracts.errors import DibopError

_INTERRUPTED: Final = 130
_DEBUG_VARIABLE: Final = "DIBOP_DEBUG"

app = typer.Typer(
    name="dibop",
    help="Declare an HTTP API as a connector template; execute its operations over NATS.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
stack.register(app)
projections.register(app)
app.add_typer(connector.app, name="connector")
app.add_typer(review.app, name="review")
app.add_typer(draft.app, name="draft")
app.add_typer(test.app, name="test")
app.add_typer(connection.app, name="connection")
app.add_typer(circuit.app, name="circuit")
execute.register(app)
console.register(app)
calls.register(app)
app.add_typer(events.app, name="events")
app.add_typer(enterprise.app, name="enterprise")
app.add_typer(audit.app, name="audit")
app.add_typer(keys.app, name="keys")
app.add_typer(token.app, name="token")
app.add_typer(nats.app, name="nats")


def _version(value: bool) -> None:
    if value:
        from dibop import __version__

        output.say(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", help="Print the version.", callback=_version, is_eager=True),
) -> None:
    _ = version


def run() -> None:
    """Run the command of `sys.argv`: exit 0 done, 1 refused or failed, 2 wrong usage. No traceback is shown."""
    try:
        app()
    except DibopError as error:
        output.print_error(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if os.environ.get(_DEBUG_VARIABLE):
            raise
        from shared.security.redaction import hide

        output.error_console().print(
            f"internal  {type(error).__name__}: {hide(str(error))}\n  next: this is a bug; repeat with "
            f"{_DEBUG_VARIABLE}=1 for the traceback, and report it.",
            markup=False,
        )
        sys.exit(1)
