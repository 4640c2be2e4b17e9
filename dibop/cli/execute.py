"""`dibop exec`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dibop.cli import options, output, runner

if TYPE_CHECKING:
    from dibop.client import Client
    from dibop.execution import Execution


_TYPES_SECONDS = 5.0
"""How long the registry is waited for before values are sent as text."""


def register(app: typer.Typer) -> None:
    app.command("exec")(execute)


def execute(
    connector: Annotated[str, typer.Argument(help="The connector's slug.", metavar="CONNECTOR")],
    operation: Annotated[str, typer.Argument(help="The operation's name.", metavar="OPERATION")],
    *,
    parameters: Annotated[
        list[str] | None,
        typer.Option(
            "--param",
            "-p",
            metavar="NAME=VALUE",
            help="A parameter; its declared type decides how the value is read. NAME:=JSON takes the JSON as it is.",
        ),
    ] = None,
    headers: Annotated[
        list[str] | None, typer.Option("--header", "-H", metavar="NAME=VALUE", help="A request header.")
    ] = None,
    connection: Annotated[str | None, typer.Option("--connection", metavar="NAME", help="Which connection.")] = None,
    version: Annotated[str | None, typer.Option("--version", metavar="V", help="As `1.2.0` or `^1`.")] = None,
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=0.001, help="Seconds that one attempt may take.")
    ] = None,
    deadline: Annotated[
        float | None, typer.Option("--deadline", min=0.001, help="Seconds that the whole may take; 120 by default.")
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option("--idempotency-key", help="One key for all attempts, where the operation takes one.")
    ] = None,
    check_status: Annotated[
        bool, typer.Option("--check-status", help="End with exit code 1 for a 4xx or 5xx status.")
    ] = False,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Execute an operation and print what the external system answered.

    Any answer is a result, a 4xx or 5xx status included; without one the exit code is 1.

    Examples:

    `dibop exec openweathermap get_current_weather -p q=London -p units=metric`

    `dibop exec httpbin post_json -p 'tags:=["a", "b"]' --connection test --json`
    """
    from dibop import values

    try:
        given = values.parse(parameters or [])
        sent_headers = {one.name: one.text for one in values.parse(headers or [])}
    except ValueError as error:
        runner.wrong_usage(str(error))

    async def work(client: Client) -> Execution:
        types: dict[str, str] = {}
        if any(not one.literal for one in given):
            types = await _types(client, connector, operation, version)
        return await client.execute(
            connector,
            operation,
            parameters=values.convert(given, types),
            headers=sent_headers,
            timeout=timeout,
            deadline=deadline,
            connection=connection,
            version=version,
            idempotency_key=idempotency_key,
        )

    result = runner.with_client(home, work)
    if as_json:
        _print_reply(result)
    else:
        _print_for_people(result)
    if check_status and result.status_code >= 400:
        runner.fail()


async def _types(client: Client, connector: str, operation: str, version: str | None) -> dict[str, str]:
    """The declared types; {} where nothing is known, so that the executor says what is wrong with the names."""
    from dibop import values
    from dibop.admin import Registry
    from shared.contracts.errors import DibopError
    from shared.contracts.names import is_slug

    if not is_slug(connector):
        return {}
    exact = version if version and version[0].isdigit() else None
    try:
        found = await Registry(client, client.enterprise, timeout=_TYPES_SECONDS).version(connector, exact)
    except DibopError as error:
        output.note(f"the parameters' types are not known ({error.code}); values are sent as text")
        return {}
    return values.parameter_types(found.document, operation) if found else {}


def _print_reply(result: Execution) -> None:
    """The reply as it came; the response of a large one, which came in parts, stands in its place."""
    from dibop.execution import decode_reply, parts_of

    body = parts_of(decode_reply(result.raw))
    if body is None:
        sys.stdout.buffer.write(result.raw.rstrip() + b"\n")
        sys.stdout.buffer.flush()
        return
    reply: dict[str, Any] = json.loads(result.raw)
    reply |= {"response": result.portable_response(), "response_encoding": body.inner_encoding}
    sys.stdout.write(json.dumps(reply, ensure_ascii=False, separators=(",", ":")) + "\n")


def _print_for_people(result: Execution) -> None:
    attempts = len(result.attempts)
    output.note(
        f"{result.connector} {result.version} {result.operation}: status {result.status_code}"
        f" in {result.duration_ms:.0f} ms"
        + (f", {attempts} attempts" if attempts > 1 else "")
        + (f", connection {result.connection}" if result.connection else "")
    )
    if result.schema_valid is False:
        output.note("the response does not match its schema:")
        for error in result.schema_errors:
            output.note(f"  - {error.path or 'the response'}: {error.problem}")
    if isinstance(result.response, bytes):
        if sys.stdout.isatty():
            output.note(f"{len(result.response)} bytes; redirect standard output to a file to keep them")
        else:
            sys.stdout.buffer.write(result.response)
    elif isinstance(result.response, str):
        sys.stdout.write(result.response + ("" if result.response.endswith("\n") else "\n"))
    else:
        output.print_json(result.response)
