"""`dibop console`: a link that opens the console in a browser."""

from __future__ import annotations

import sys

import typer

from dibop.cli import options, output, runner


def console(*, home: options.Home = None, as_json: options.Json = False) -> None:
    """Print a link that signs you in to the console, once and for ten minutes.

    Whoever opens it first is signed in as you: treat it as a password.

    Examples: `dibop console`, `xdg-open "$(dibop console)"`
    """
    import asyncio

    from dibop.console import sign_in_link
    from dibop.context import Context

    runner.quieten_libraries()
    link = asyncio.run(sign_in_link(Context.load(home)))
    if as_json:
        output.print_json({"url": link.url, "expires_at": link.expires_at})
    else:
        sys.stdout.write(link.url + "\n")


def register(app: typer.Typer) -> None:
    app.command()(console)
