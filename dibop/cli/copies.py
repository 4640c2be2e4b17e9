"""`dibop connector duplicate|delete`: how connectors begin as copies, and end before anything was published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dibop.cli import options, output, runner

if TYPE_CHECKING:
    from dibop.client import Client
    from shared.contracts.commands import ConnectorDeleted, DraftSaved

Slug = Annotated[str, typer.Argument(help="The connector's slug.", metavar="SLUG")]


def register(app: typer.Typer) -> None:
    """Add the commands to `dibop connector`."""
    for command in (duplicate, delete):
        app.command()(command)


def duplicate(
    slug: Slug,
    new_slug: Annotated[str, typer.Argument(help="The slug of the copy.", metavar="NEW-SLUG")],
    *,
    version: Annotated[
        str | None, typer.Option("--version", help="Copy this version; by default the draft, else the latest version.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="The copy's name.")] = None,
    owner: options.Owner = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Begin a draft with the document of another connector, the catalogue's too. Connections are not copied.

    `--owner` says whose the copy is; by default the original's owner where its draft is yours to see, else yours.

    Examples: `dibop connector duplicate crm crm-eu --name "CRM Europe"`,
    `dibop connector duplicate openweathermap our-weather --owner enterprise`
    """

    async def work(client: Client) -> DraftSaved:
        from dibop.admin import Registry, find_draft
        from shared.contracts.commands import DuplicateConnector

        enterprise = options.owner_named(client, owner)
        if enterprise is None:
            original = await find_draft(client, slug)
            enterprise = original.owner if original is not None else client.enterprise
        command = DuplicateConnector(slug=slug, new_slug=new_slug, version=version, name=name)
        return await Registry(client, enterprise).duplicate(command)

    saved = runner.with_client(home, work)
    if as_json:
        output.print_json(saved.model_dump(mode="json"))
    else:
        output.say(f"duplicated {slug} as draft {saved.slug} of {saved.owner}, revision {saved.revision}")


def delete(
    slug: Slug,
    yes: options.Yes = False,
    owner: options.Owner = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Delete a connector that was never published, with its history. Published ones are unpublished and retired.

    Example: `dibop connector delete first-try --yes`
    """
    if not yes and output.is_interactive():
        typer.confirm(f"Delete the draft {slug} with its history?", abort=True, err=True)

    async def work(client: Client) -> ConnectorDeleted:
        from dibop.admin import Registry, require_draft

        draft = await require_draft(client, slug, options.owner_named(client, owner))
        return await Registry(client, draft.owner).delete_connector(slug, draft.revision)

    deleted = runner.with_client(home, work)
    if as_json:
        output.print_json(deleted.model_dump(mode="json"))
    else:
        output.say(f"deleted {deleted.slug} of {deleted.owner}")
