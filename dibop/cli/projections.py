"""`dibop rebuild-projections`: what executors read, brought back to what the registry's database says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dibop.cli import options, output, runner

if TYPE_CHECKING:
    from dibop.client import Client
    from shared.contracts.commands import ProjectionDifference, ProjectionPart

_SHOWN = 20

Only = Annotated[
    Literal["templates", "catalogue", "connections", "enterprises"] | None,
    typer.Option("--only", help="This part alone."),
]


def register(app: typer.Typer) -> None:
    app.command("rebuild-projections")(rebuild_projections)


def rebuild_projections(
    *,
    check: Annotated[bool, typer.Option("--check", help="Say what differs, and change nothing.")] = False,
    only: Only = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Have everything that executors read be as the registry's database says, while everything goes on.

    Entries that are right are not touched; the command may be interrupted and repeated. Where buckets are gone
    altogether, `dibop migrate` makes them first. With `--check`, exit code 1 where something differs.

    Examples: `dibop rebuild-projections`, `dibop rebuild-projections --check --only connections --json`
    """
    from dibop.projections import PARTS

    async def work(client: Client) -> list[_Part]:
        return [await _survey(client, part, check=check) for part in PARTS if only in (None, part)]

    parts = runner.with_client(home, work)
    if as_json:
        output.print_json([each.as_dict(check=check) for each in parts])
    else:
        _print(parts, check=check)
    if check and any(each.differences for each in parts):
        runner.fail()


class _Part:
    def __init__(self, name: ProjectionPart) -> None:
        self.name = name
        self.looked_at = 0
        self.differences: list[ProjectionDifference] = []

    def as_dict(self, *, check: bool) -> dict[str, object]:
        return {
            "part": self.name,
            "looked_at": self.looked_at,
            "differences": [each.model_dump(mode="json") for each in self.differences],
            "mended": not check,
        }


async def _survey(client: Client, name: ProjectionPart, *, check: bool) -> _Part:
    from dibop.projections import Projections

    part, projections = _Part(name), Projections(client)
    with output.waiting(f"looking at {name}") as tell:
        async for page in projections.check(name) if check else projections.rebuild(name):
            part.looked_at += page.looked_at
            part.differences += page.differences
            tell(f"looking at {name}: {part.looked_at}, {len(part.differences)} differing")
    return part


def _print(parts: list[_Part], *, check: bool) -> None:
    output.print_table(
        ["part", "looked at", "differing" if check else "mended"],
        [(each.name, each.looked_at, len(each.differences)) for each in parts],
        "",
    )
    for part in parts:
        for difference in part.differences[:_SHOWN]:
            output.say(f"  {part.name} {difference.key}: {difference.drift}")
        if len(part.differences) > _SHOWN:
            output.say(f"  … and {len(part.differences) - _SHOWN} more of {part.name}; --json lists all")
    if check and any(each.differences for each in parts):
        output.note("Mend it with: dibop rebuild-projections")
