"""`dibop events tail`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dibop.cli import options, output, runner

if TYPE_CHECKING:
    from dibop.client import Client
    from shared.contracts.commands import Consumer
    from shared.contracts.events import Event

app = typer.Typer(help="Listen to what happens.", no_args_is_help=True)


consumers = typer.Typer(help="Durable consumers: events are kept until they are read.", no_args_is_help=True)
app.add_typer(consumers, name="consumer")

Pattern = Annotated[str, typer.Argument(help="`<noun>.<identifier>.<what>`; `*` is any one, a final `>` any rest.")]


@app.callback()
def _events() -> None:
    """Listen to what happens."""


@app.command()
def tail(
    pattern: Pattern = ">",
    count: Annotated[int | None, typer.Option("--count", "-n", min=1, help="End after so many.")] = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Print events as they happen, those of your enterprise and of the platform, until Ctrl-C.

    Of the platform most may hear no more than what is new in the catalogue.

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


@consumers.command()
def create(
    name: Annotated[str, typer.Argument(help="Its name within your enterprise.")],
    pattern: Pattern = ">",
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Keep events from now on until they are read. Whoever reads has a NATS user with the right to this name.

    Example: `dibop events consumer create billing 'connection.>'`
    """

    async def work(client: Client) -> Consumer:
        from dibop.admin import Registry

        return await Registry(client, client.enterprise).create_consumer(name, pattern)

    made = runner.with_client(home, work)
    if as_json:
        output.print_json(made.model_dump(mode="json"))
    else:
        output.say(f"{made.consumer} of the stream EVENTS keeps {', '.join(made.subjects)}")


@consumers.command("list")
def list_(home: options.Home = None, as_json: options.Json = False) -> None:
    """List your enterprise's consumers, with what waits in each.

    Example: `dibop events consumer list --json`
    """

    async def work(client: Client) -> list[Consumer]:
        from dibop.admin import Registry

        return await Registry(client, client.enterprise).consumers()

    found = runner.with_client(home, work)
    if as_json:
        output.print_json([each.model_dump(mode="json") for each in found])
        return
    output.print_table(
        ["name", "in the stream", "keeps", "waiting", "read, not acknowledged"],
        [(e.name, e.consumer, "\n".join(e.subjects), e.waiting, e.unacknowledged) for e in found],
        "There is no consumer yet.",
    )


@consumers.command()
def delete(
    name: Annotated[str, typer.Argument(help="Its name within your enterprise.")],
    home: options.Home = None,
) -> None:
    """Delete a consumer, with what waits in it.

    Example: `dibop events consumer delete billing`
    """

    async def work(client: Client) -> None:
        from dibop.admin import Registry

        await Registry(client, client.enterprise).delete_consumer(name)

    runner.with_client(home, work)
    output.say(f"deleted the consumer {name}")


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
