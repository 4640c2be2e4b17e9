"""`dibop events tail`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dibop.cli import options, output, runner

if TYPE_CHECKING:
    from dibop.client import Client
    from shared.contracts.events import Event

app = typer.Typer(help="Listen to what happens.", no_args_is_help=True)


@app.callback()
def _events() -> None:
    """Listen to what happens."""


@app.command()
def tail(
    pattern: Annotated[
        str, typer.Argument(help="`<noun>.<identifier>.<what>`; `*` is any one, a final `>` any rest.")
    ] = ">",
    count: Annotated[int | None, typer.Option("--count", "-n", min=1, help="End after so many.")] = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Print events as they happen, those of your enterprise and of the platform, until Ctrl-C.

    Examples: `dibop events tail`, `dibop events tail 'connector.*.version_published' --count 1 --json`
    """

    async def work(client: Client) -> None:
        heard = 0
        async with client.events(pattern) as events:
            output.note(f"listening to {pattern}; Ctrl-C ends")
            async for event in events:
                _print(event, as_json)
                heard += 1
                if heard == count:
                    return

    runner.with_client(home, work)


def _print(event: Event, as_json: bool) -> None:
    import json
    import sys

    data = json.dumps(dict(event.data), ensure_ascii=False)
    if as_json:
        attributes = {
            "specversion": "1.0",
            "id": event.id,
            "type": event.type,
            "source": f"/dibop/{event.source}",
            "subject": event.identifier,
            "time": event.time,
            "enterprise": event.enterprise,
            "data": dict(event.data),
        }
        sys.stdout.write(json.dumps(attributes, ensure_ascii=False) + "\n")
        sys.stdout.flush()
    else:
        output.say(f"{event.time}  {event.enterprise}  {event.noun}.{event.what}  {event.identifier}  {data}")
