"""`dibop connector deprecate|unpublish|retire|rollback`: the life of what is published."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dibop.cli import options, output, runner

if TYPE_CHECKING:
    from dibop.admin import Publisher
    from dibop.client import Client
    from shared.contracts.commands import Moved, Published

_VERSION = re.compile(r"\d{1,6}\.\d{1,6}\.\d{1,6}", re.ASCII)


def register(app: typer.Typer) -> None:
    """Add the commands to `dibop connector`."""
    for command in (deprecate, unpublish, retire, rollback):
        app.command()(command)


def _version(value: str | None) -> str | None:
    if value is not None and not _VERSION.fullmatch(value):
        runner.wrong_usage(f"{value!r} is not a version, such as 1.2.0.")
    return value


def _date(value: str | None) -> str | None:
    try:
        return value if value is None else dt.date.fromisoformat(value).isoformat()
    except ValueError:
        runner.wrong_usage(f"{value!r} is not a date, such as 2030-01-31.")


Slug = Annotated[str, typer.Argument(help="The connector's slug.", metavar="SLUG")]
Version = Annotated[
    str | None,
    typer.Argument(help="One version; by default the whole connector.", metavar="[VERSION]", callback=_version),
]
Notes = Annotated[str, typer.Option("--notes", help="Why, for those who use it.")]


def deprecate(
    slug: Slug,
    version: Version = None,
    *,
    successor: Annotated[
        str | None, typer.Option("--successor", help="What to use instead: a version, or another connector's slug.")
    ] = None,
    date: Annotated[
        str | None,
        typer.Option("--date", metavar="DATE", help="Until when it can be counted on.", callback=_date),
    ] = None,
    notes: Notes = "",
    owner: options.Owner = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Say that a version is to be left, for what and until when. Everything goes on working.

    Without VERSION all that are published but the successor are deprecated.

    Examples: `dibop connector deprecate crm 1.4.0 --successor 2.0.0 --date 2030-01-31`,
    `dibop connector deprecate old-crm --successor crm`
    """

    def ask(publisher: Publisher) -> Awaitable[Moved]:
        from shared.contracts.commands import DeprecateConnector

        until = dt.date.fromisoformat(date) if date else None
        return publisher.deprecate(
            DeprecateConnector(slug=slug, version=version, successor=successor, date=until, notes=notes)
        )

    _move(home, slug, owner, ask, as_json=as_json)


def unpublish(
    slug: Slug,
    version: Version = None,
    *,
    notes: Notes = "",
    owner: options.Owner = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Offer a version to no new connection. Connections that there are, and callers that name it, go on.

    Examples: `dibop connector unpublish crm 1.4.0`, `dibop connector unpublish crm`
    """

    def ask(publisher: Publisher) -> Awaitable[Moved]:
        from shared.contracts.commands import UnpublishConnector

        return publisher.unpublish(UnpublishConnector(slug=slug, version=version, notes=notes))

    _move(home, slug, owner, ask, as_json=as_json)


def retire(
    slug: Slug,
    version: Version = None,
    *,
    yes: options.Yes = False,
    notes: Notes = "",
    owner: options.Owner = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """End a version for good: nobody can run it any more. Refused while a connection does.

    Deprecate or unpublish it first. What is retired does not come back.

    Examples: `dibop connector retire crm 1.4.0`, `dibop connector retire crm --yes`
    """
    what = f"version {version} of {slug}" if version else f"{slug}, all of its versions,"
    if not yes and output.is_interactive():
        typer.confirm(f"Retire {what} for good?", abort=True)

    def ask(publisher: Publisher) -> Awaitable[Moved]:
        from shared.contracts.commands import RetireConnector

        return publisher.retire(RetireConnector(slug=slug, version=version, notes=notes))

    _move(home, slug, owner, ask, as_json=as_json)


def rollback(
    slug: Slug,
    version: Annotated[
        str, typer.Argument(help="The version whose content is to come back.", metavar="VERSION", callback=_version)
    ],
    *,
    notes: Notes = "",
    bump: Annotated[
        Literal["major", "minor", "patch"] | None,
        typer.Option("--bump", help="At least this bump; refused where what changes needs a larger one."),
    ] = None,
    owner: options.Owner = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Publish the content of an earlier version as the next version. The draft stays as it is.

    What changes on the way back decides the bump, so connections follow where nothing breaks for them. To have them go
    back at once where it does, unpublish the later version instead.

    Example: `dibop connector rollback crm 1.4.0 --notes "1.5.0 loses leads"`
    """

    async def work(client: Client) -> Published:
        from shared.contracts.commands import RollbackConnector

        publisher = await _publisher(client, slug, owner)
        with output.waiting(f"rolling back {slug}"):
            return await publisher.roll_back(RollbackConnector(slug=slug, version=version, notes=notes, bump=bump))

    published = runner.with_client(home, work)
    if as_json:
        output.print_json(published.model_dump(mode="json"))
    elif published.changed:
        output.say(f"published {slug} {published.version} with the content of {version}, {published.digest}")
    else:
        output.say(f"unchanged: {slug} {published.version} has the content of {version} already")


def _move(
    home: str | None, slug: str, owner: str | None, ask: Callable[[Publisher], Awaitable[Moved]], *, as_json: bool
) -> None:
    async def work(client: Client) -> Moved:
        publisher = await _publisher(client, slug, owner)
        with output.waiting(f"moving {slug}"):
            return await ask(publisher)

    moved = runner.with_client(home, work)
    if as_json:
        output.print_json(moved.model_dump(mode="json"))
    elif moved.changed:
        output.say(f"{slug} {', '.join(moved.versions)}: {moved.state}; the connector is {moved.connector_state}")
    else:
        output.say(f"unchanged: {slug} is so already; the connector is {moved.connector_state}")


async def _publisher(client: Client, slug: str, owner: str | None) -> Publisher:
    """The publisher of the connector's owner."""
    from dibop.admin import Publisher, owner_of
    from shared.contracts.names import PLATFORM

    named = {"platform": PLATFORM, "enterprise": client.enterprise}.get(owner or "")
    return Publisher(client, named or await owner_of(client, slug))
