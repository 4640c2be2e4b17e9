"""Options that many commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dibop.cli import output

if TYPE_CHECKING:
    from dibop.client import Client


def _json_mode(value: bool) -> bool:
    if value:
        output.use_json()
    return value


Home = Annotated[
    str | None,
    typer.Option("--home", envvar="DIBOP_HOME", help="Home of the stack; `.dibop` here by default.", metavar="DIR"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.", callback=_json_mode, is_eager=True)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")]
Owner = Annotated[
    Literal["platform", "enterprise"] | None,
    typer.Option("--owner", help="Whose connector: the platform's, or your enterprise's. Found by itself by default."),
]
CredentialsFile = Annotated[
    str | None,
    typer.Option(
        "--credentials-file",
        help="JSON or YAML file of the credential fields; `-` reads standard input.",
        metavar="FILE",
    ),
]


def owner_named(client: Client, owner: str | None) -> str | None:
    """The enterprise that `--owner` names."""
    from shared.contracts.names import PLATFORM

    return {"platform": PLATFORM, "enterprise": client.enterprise}.get(owner or "")
