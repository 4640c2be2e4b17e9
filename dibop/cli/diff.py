"""`dibop connector diff`: what changed between two versions of a connector, or from one to its draft."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from dibop.cli import options, output, runner

if TYPE_CHECKING:
    from dibop.client import Client
    from shared.contracts.commands import ComparedDocument, Difference

_STYLES = {"major": "bold red", "minor": "yellow", "patch": "dim"}
_DOCUMENT = re.compile(r"draft|\d{1,6}\.\d{1,6}\.\d{1,6}", re.ASCII)


def _document(value: str | None) -> str | None:
    if value is not None and not _DOCUMENT.fullmatch(value):
        runner.wrong_usage(f"{value!r} is neither a version, such as 1.2.0, nor `draft`.")
    return value


def diff(
    slug: Annotated[str, typer.Argument(help="The connector's slug.", metavar="SLUG")],
    before: Annotated[
        str | None,
        typer.Argument(
            help="A version, or `draft`. By default the highest version.", metavar="[A]", callback=_document
        ),
    ] = None,
    after: Annotated[str, typer.Argument(help="What to compare it with.", metavar="[B]", callback=_document)] = "draft",
    *,
    owner: options.Owner = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Show what changed from A to B, each change with the bump that it needs, the breaking ones first.

    Examples: `dibop connector diff openweathermap`, `dibop connector diff openweathermap 1.0.0 2.0.0 --json`
    """

    async def work(client: Client) -> Difference:
        from dibop.admin import Publisher, find_draft
        from shared.contracts.commands import DRAFT, DiffConnector
        from shared.contracts.names import PLATFORM

        query = DiffConnector(slug=slug, before=before, after=after)
        enterprise = {"platform": PLATFORM, "enterprise": client.enterprise}.get(owner or "")
        if enterprise is None and DRAFT in (before, after):
            draft = await find_draft(client, slug)
            enterprise = draft.owner if draft else None
        return await Publisher(client, enterprise or client.enterprise).diff(query)

    found = runner.with_client(home, work)
    if as_json:
        output.print_json(found.model_dump(mode="json"))
    else:
        _print(found)


def _print(found: Difference) -> None:
    title = f"{found.slug} of {found.owner}: {_name(found.before)} -> {_name(found.after)}"
    if found.bump is None:
        output.say(f"{title}: the same document")
        return
    follows = f", the next version is {found.next_version}" if found.next_version else ""
    output.say(f"{title}: {found.bump}{follows}")
    for change in found.changes:
        output.say(f"  {change.bump:<5}  {change.sentence}", style=_STYLES[change.bump])
    if found.more:
        output.note(f"and {found.more} changes more")
    if not found.changes:
        output.note("nothing that has a meaning")


def _name(document: ComparedDocument) -> str:
    return document.version or f"draft (revision {document.revision})"
