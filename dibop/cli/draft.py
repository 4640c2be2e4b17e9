"""`dibop draft`: the document that authors are working on, its history, and the ways back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dibop.cli import options, output, runner

if TYPE_CHECKING:
    from dibop.client import Client
    from shared.contracts.commands import Draft, DraftHistory, DraftSaved

app = typer.Typer(help="See and change drafts, their history, and go back in it.", no_args_is_help=True)

Slug = Annotated[str, typer.Argument(help="The connector's slug.", metavar="SLUG")]
_MAX_BYTES = 16 * 1024 * 1024
_SHOWN_CHANGES = 3


@app.command()
def show(
    slug: Slug,
    *,
    revision: Annotated[int | None, typer.Option("--revision", min=1, help="As it was then; now by default.")] = None,
    owner: options.Owner = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Print a draft's document as YAML, which `dibop connector apply` takes; with `--json` all that is known of it.

    Examples: `dibop draft show crm > crm.yaml`, `dibop draft show crm --revision 12 --json`
    """

    async def work(client: Client) -> Draft:
        from dibop.admin import Registry

        current = await _current(client, slug, owner)
        return current if revision is None else await Registry(client, current.owner).revision(slug, revision)

    draft = runner.with_client(home, work)
    if as_json:
        output.print_json(draft.model_dump(mode="json"))
        return
    import yaml

    sys.stdout.write(yaml.safe_dump(draft.document, sort_keys=False, allow_unicode=True))
    output.note(f"revision {draft.revision} of {draft.owner}, saved by {draft.saved_by} at {draft.saved_at}")


@app.command()
def history(
    slug: Slug,
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many, the newest first.")] = 50,
    before: Annotated[int | None, typer.Option("--before", min=1, help="Only revisions older than this one.")] = None,
    owner: options.Owner = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """List a draft's revisions: who saved each, what it changed, and what was published from it.

    Example: `dibop draft history crm --limit 10`
    """

    async def work(client: Client) -> DraftHistory:
        from dibop.admin import Registry
        from shared.contracts.commands import ListRevisions

        current = await _current(client, slug, owner)
        query = ListRevisions(slug=slug, limit=limit, before=before)
        return await Registry(client, current.owner).history(query)

    found = runner.with_client(home, work)
    if as_json:
        output.print_json(found.model_dump(mode="json"))
        return
    output.print_table(
        ["revision", "saved", "by", "version", "restored", "changed"],
        [
            (each.revision, each.saved_at, each.saved_by, each.version, each.restored_from, _few(each.changed))
            for each in found.revisions
        ],
        "There are no older ones.",
    )
    if found.next_before is not None:
        output.note(f"older ones: --before {found.next_before}")


@app.command()
def patch(
    slug: Slug,
    file: Annotated[str, typer.Argument(help="What to change, YAML or JSON; `-` is standard input.", metavar="FILE")],
    *,
    revision: Annotated[
        int | None,
        typer.Option("--revision", min=1, help="The revision that you started from; the current one by default."),
    ] = None,
    owner: options.Owner = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Change some fields of a draft: a JSON Merge Patch (RFC 7396), in which null removes.

    What others changed since stays, unless you changed it too: then nothing is saved, and the places are named.

    Example: `echo 'description: Leads and contacts' | dibop draft patch crm - --revision 12`
    """
    fields = _read(file)

    async def work(client: Client) -> DraftSaved:
        from dibop.admin import Registry

        current = await _current(client, slug, owner)
        return await Registry(client, current.owner).patch_draft(slug, fields, revision or current.revision)

    _print_saved(runner.with_client(home, work), "patched", as_json=as_json)


@app.command()
def restore(
    slug: Slug,
    revision: Annotated[int, typer.Argument(help="The revision whose document you want.", metavar="REVISION", min=1)],
    owner: options.Owner = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Make the document of an earlier revision the current one. What stood there until now stays in the history.

    Example: `dibop draft restore crm 12`
    """

    async def work(client: Client) -> DraftSaved:
        from dibop.admin import Registry

        current = await _current(client, slug, owner)
        return await Registry(client, current.owner).restore_draft(slug, revision, current.revision)

    _print_saved(runner.with_client(home, work), f"restored revision {revision} in", as_json=as_json)


@app.command()
def discard(
    slug: Slug,
    yes: options.Yes = False,
    owner: options.Owner = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Undo what was edited since the latest version was published. It stays in the history.

    Example: `dibop draft discard crm --yes`
    """
    if not yes and output.is_interactive():
        typer.confirm(f"Discard what was edited in {slug} since it was published?", abort=True, err=True)

    async def work(client: Client) -> DraftSaved:
        from dibop.admin import Registry

        current = await _current(client, slug, owner)
        return await Registry(client, current.owner).discard_draft(slug, current.revision)

    _print_saved(runner.with_client(home, work), "discarded the edits of", as_json=as_json)


async def _current(client: Client, slug: str, owner: str | None) -> Draft:
    from dibop.admin import require_draft

    return await require_draft(client, slug, options.owner_named(client, owner))


def _read(file: str) -> dict[str, Any]:
    from dibop.errors import InvalidRequestError
    from shared.contracts.template import SourceError, parse_source

    try:
        data = sys.stdin.buffer.read(_MAX_BYTES) if file == "-" else Path(file).read_bytes()
        fields = parse_source(data, name=file).document
    except OSError as error:
        raise InvalidRequestError("invalid-request", f"{file} cannot be read: {error.strerror}.") from error
    except SourceError as error:
        problems = [problem.as_dict() for problem in error.problems]
        raise InvalidRequestError("invalid-request", f"{file} is no patch.", errors=problems) from error
    if not isinstance(fields, dict):
        raise InvalidRequestError("invalid-request", f"{file} is no mapping of fields. Name the fields to change.")
    return fields


def _print_saved(saved: DraftSaved, what: str, *, as_json: bool) -> None:
    if as_json:
        output.print_json(saved.model_dump(mode="json"))
        return
    told = what if saved.changed else "unchanged"
    merged = ", merged with what others changed" if saved.merged else ""
    output.say(f"{told} draft {saved.slug} of {saved.owner}, revision {saved.revision}{merged}, {saved.digest}")
    for problem in saved.errors:
        output.say(f"  - {problem.path or 'the document'}: {problem.problem} {problem.mend}")


def _few(changed: list[str]) -> str:
    more = f" and {len(changed) - _SHOWN_CHANGES} more" if len(changed) > _SHOWN_CHANGES else ""
    return ", ".join(changed[:_SHOWN_CHANGES]) + more
