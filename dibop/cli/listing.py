"""`dibop connector list`: what there is, found, filtered and sorted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dibop.cli import options, output, runner

if TYPE_CHECKING:
    from dibop.client import Client
    from shared.contracts.commands import ConnectorRow


def list_connectors(
    *,
    search: Annotated[
        str | None,
        typer.Option("--search", help="Only those with words that begin so, in name, type, description or operations."),
    ] = None,
    type_: Annotated[str | None, typer.Option("--type", help="Only those of this type.")] = None,
    state: Annotated[
        Literal["draft", "published", "deprecated", "unpublished", "retired"] | None,
        typer.Option("--state", help="Only those in this state."),
    ] = None,
    sort: Annotated[
        Literal["slug", "name", "type", "state", "changed"], typer.Option("--sort", help="In which order.")
    ] = "slug",
    descending: Annotated[bool, typer.Option("--descending", help="The other way round.")] = False,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """List the connectors that you can see: your enterprise's and the catalogue's.

    Examples: `dibop connector list --search weather`, `dibop connector list --sort changed --descending`
    """

    async def work(client: Client) -> list[ConnectorRow]:
        from dibop.admin import Registry, owners_to_look_at
        from shared.contracts.commands import ListConnectors

        query = ListConnectors(search=search, type=type_, state=state)
        rows: dict[tuple[str, str], ConnectorRow] = {}
        for enterprise in owners_to_look_at(client):
            for row in await Registry(client, enterprise).connectors(query):
                if row.draft_revision is not None or (row.owner, row.slug) not in rows:
                    rows[row.owner, row.slug] = row
        by_slug = sorted(rows.values(), key=lambda row: (row.slug, row.owner))
        return sorted(by_slug, key=lambda row: _order(row, sort), reverse=descending)

    rows = runner.with_client(home, work)
    if as_json:
        output.print_json([row.model_dump(mode="json") for row in rows])
        return
    output.print_table(
        ["slug", "owner", "name", "type", "state", "draft", "latest version"],
        [(r.slug, r.owner, r.name, r.type, r.state, r.draft_revision, r.latest_version) for r in rows],
        "There is no connector yet. Save one with: dibop connector apply FILE",
    )


def _order(row: ConnectorRow, sort: str) -> str:
    """What a row stands in order by; the registry's pages are put together here, so they are sorted here."""
    return {
        "slug": row.slug,
        "name": row.name.casefold(),
        "type": row.type,
        "state": row.state,
        "changed": row.changed_at,
    }[sort]
