"""`dibop audit list`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dibop.cli import options, output, runner

if TYPE_CHECKING:
    from dibop.client import Client
    from shared.contracts.commands import AuditPage

app = typer.Typer(help="Who changed what, and when.", no_args_is_help=True)


@app.callback()
def _audit() -> None:
    """Who changed what, and when."""


@app.command("list")
def list_(
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many, the newest first.")] = 50,
    before: Annotated[int | None, typer.Option("--before", help="Only entries older than the one of this id.")] = None,
    noun: Annotated[str | None, typer.Option("--noun", help="As `connector`, `connection`.")] = None,
    identifier: Annotated[str | None, typer.Option("--id", help="Of this thing alone.")] = None,
    owner: options.Owner = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """List the audit log, the newest entries first: your enterprise's, or with `--owner platform` the platform's.

    Example: `dibop audit list --owner platform --noun connector --limit 20`
    """
    from dibop.admin import Registry
    from shared.contracts.commands import ListAudit
    from shared.contracts.names import PLATFORM

    async def work(client: Client) -> AuditPage:
        enterprise = PLATFORM if owner == PLATFORM else client.enterprise
        query = ListAudit(limit=limit, before=before, noun=noun, identifier=identifier)
        return await Registry(client, enterprise).audit(query)

    page = runner.with_client(home, work)
    if as_json:
        output.print_json(page.model_dump(mode="json"))
        return
    output.print_table(
        ["id", "at", "who", "did", "to", "what"],
        [(e.id, e.at, e.actor, e.action, e.noun, e.identifier) for e in page.entries],
        "Nothing has been changed yet.",
    )
    if page.next_before is not None:
        output.note(f"older ones: --before {page.next_before}")
