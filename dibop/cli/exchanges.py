"""What an operation of a test sent and got, as people read it: the request, and beneath it the response."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from dibop.cli import output

if TYPE_CHECKING:
    from shared.contracts.commands import RecordedBody, TestStep

_INDENT = "    "


def print_exchange(step: TestStep) -> None:
    exchange = step.exchange
    if exchange is None:
        return
    request, response = exchange.request, exchange.response
    _print(f"> {request.method} {request.url}", request.headers, request.body, ">")
    if response is not None:
        _print(f"< {response.status_code}", response.headers, response.body, "<")
    if len(step.attempts) > 1:
        _say(f"after {len(step.attempts)} attempts")


def _print(first: str, headers: Iterable[tuple[str, str]], body: RecordedBody | None, mark: str) -> None:
    _say(first, "bold")
    for name, value in headers:
        _say(f"{mark} {name}: {value}", "dim")
    if body is not None:
        for line in _text(body).splitlines():
            _say(f"{mark}   {line}")
        if body.truncated:
            _say(f"{mark}   (of {body.size:,} bytes this is the beginning)", "dim")


def _say(line: str, style: str = "") -> None:
    """What an external system says may hold anything, also what moves a terminal's cursor."""
    output.say(
        _INDENT + "".join(each if each.isprintable() or each == "\t" else "\N{REPLACEMENT CHARACTER}" for each in line),
        style,
    )


def _text(body: RecordedBody) -> str:
    if body.text is None:
        return "(not kept: the run had much to keep)"
    if body.encoding == "json" and not body.truncated:
        return json.dumps(json.loads(body.text), indent=2, ensure_ascii=False)
    return body.text
