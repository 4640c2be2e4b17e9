"""`dibop connector`: write, look at, test and publish connectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dibop.cli import copies, diff, lifecycle, listing, options, output, runner, test

if TYPE_CHECKING:
    from dibop.authoring import TemplateFile
    from dibop.client import Client
    from shared.contracts.commands import Connector, DraftSaved, Published, VersionSummary
    from shared.contracts.template import Problem

app = typer.Typer(help="Write, look at, test and publish connectors.", no_args_is_help=True)
app.command("list")(listing.list_connectors)
app.command()(diff.diff)
app.command("test")(test.run_test)
lifecycle.register(app)
copies.register(app)

Slug = Annotated[str, typer.Argument(help="The connector's slug.", metavar="SLUG")]
File = Annotated[Path, typer.Argument(help="The template, YAML or JSON.", metavar="FILE")]


@app.command()
def validate(
    file: File,
    part: Annotated[
        Literal["auth", "operation", "response_schema"] | None,
        typer.Option("--part", help="The file holds only this part of a template."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Check a template without a server: every problem with its place and how to mend it.

    Examples: `dibop connector validate weather.yaml`, `dibop connector validate auth.yaml --part auth`
    """
    from dibop.authoring import TemplateFileError, read_template

    try:
        read = read_template(file, part=part)
        errors, warnings = read.errors, read.warnings
    except TemplateFileError as error:
        errors, warnings = error.problems, []
    if as_json:
        output.print_json(
            {
                "file": str(file),
                "valid": not errors,
                "errors": [problem.as_dict() for problem in errors],
                "warnings": [problem.as_dict() for problem in warnings],
            }
        )
    else:
        _print_problems(file, errors, "error")
        _print_problems(file, warnings, "warning")
        if not errors:
            output.say(f"{file}: valid")
    if errors:
        runner.fail()


@app.command()
def apply(
    file: File,
    *,
    owner: options.Owner = None,
    revision: Annotated[
        int | None,
        typer.Option("--revision", min=1, help="Save on this revision; refused if it is not the current one."),
    ] = None,
    merge: Annotated[
        bool,
        typer.Option("--merge", help="With --revision: keep what others changed since, unless the file does too."),
    ] = False,
    allow_invalid: Annotated[
        bool, typer.Option("--allow-invalid", help="Save the draft although it has errors.")
    ] = False,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Replace a value: `base_url=...`, `/operations/0/path=...`."),
    ] = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Save a template as a draft, on the current revision. An icon file beside it is taken in.

    Examples: `dibop connector apply weather.yaml`, `dibop connector apply weather.yaml --set base_url=http://127.0.0.1:8080`,
    `dibop connector apply weather.yaml --revision 7 --merge`
    """
    if merge and revision is None:
        runner.wrong_usage("--merge needs --revision: the revision that the file started from.")
    from dibop.authoring import read_template, save

    read = read_template(file, assignments=assignments or [])
    if read.errors and not allow_invalid:
        _refuse_invalid(read)

    async def work(client: Client) -> DraftSaved:
        return await save(client, read, owner=owner, revision=revision, merge=merge)

    saved = runner.with_client(home, work)
    if as_json:
        output.print_json(saved.model_dump(mode="json"))
        return
    what = "saved" if saved.changed else "unchanged"
    merged = ", merged with what others changed" if saved.merged else ""
    output.say(f"{what} draft {saved.slug} of {saved.owner}, revision {saved.revision}{merged}, {saved.digest}")
    _print_problems(file, read.errors, "error")
    _print_problems(file, read.warnings, "warning")


@app.command()
def show(slug: Slug, owner: options.Owner = None, home: options.Home = None, as_json: options.Json = False) -> None:
    """Show a connector: its draft, its versions and their states.

    Example: `dibop connector show openweathermap --json`
    """

    async def work(client: Client) -> Connector:
        return await _find(client, slug, owner)

    connector = runner.with_client(home, work)
    if as_json:
        shown = connector.model_dump(mode="json", exclude={"name", "type"})
        for version in shown["versions"]:
            version.pop("scope")
            if version["deprecation"] is None:
                version.pop("deprecation")
        output.print_json(shown)
        return
    output.say(f"{connector.name} ({connector.slug}), {connector.type}, of {connector.owner}: {connector.state}")
    if connector.draft:
        errors = f", {len(connector.draft.errors)} errors" if connector.draft.errors else ""
        output.say(f"draft: revision {connector.draft.revision}{errors}, {connector.draft.digest}")
        for problem in connector.draft.errors:
            output.say(f"  - {problem.path or 'the document'}: {problem.problem} {problem.mend}")
    output.print_table(
        ["version", "state", "scope", "published", "digest", "deprecated"],
        [(v.version, v.state, v.scope, v.published_at, v.digest, _deprecation(v)) for v in connector.versions],
        "No version is published yet.",
    )


def _deprecation(version: VersionSummary) -> str:
    told = version.deprecation
    if told is None:
        return ""
    until = f"until {told.date}" if told.date else ""
    return ", ".join(part for part in (until, f"use {told.successor}" if told.successor else "") if part)


@app.command()
def publish(
    slug: Slug,
    *,
    scope: Annotated[
        Literal["catalogue", "enterprise"] | None,
        typer.Option("--scope", help="For all enterprises, or yours alone. By default as the draft's owner has it."),
    ] = None,
    notes: Annotated[str, typer.Option("--notes", help="What is new, for those who use it.")] = "",
    bump: Annotated[
        Literal["major", "minor", "patch"] | None,
        typer.Option("--bump", help="At least this bump; refused where what changed needs a larger one."),
    ] = None,
    owner: options.Owner = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Publish the draft as the next version, if the gate lets it pass. Answers once it can be executed.

    An enterprise's draft enters the catalogue through a review, which this asks for: see `dibop review`.

    Examples: `dibop connector publish openweathermap --scope catalogue`, `dibop connector publish crm --bump major`
    """

    async def work(client: Client) -> Published:
        from dibop.admin import Publisher, find_draft
        from shared.contracts.names import PLATFORM

        named = options.owner_named(client, owner) or options.owner_named(
            client, "enterprise" if scope == "enterprise" else None
        )
        draft = await find_draft(client, slug, named)
        enterprise = draft.owner if draft else named or client.enterprise
        wanted = scope or ("catalogue" if enterprise == PLATFORM else "enterprise")
        with output.waiting(f"publishing {slug}"):
            return await Publisher(client, enterprise).publish(slug, wanted, notes, bump=bump)

    published = runner.with_client(home, work)
    if as_json:
        output.print_json(published.model_dump(mode="json"))
    elif published.review is not None:
        asked = "asked for" if published.changed else "under way already"
        output.say(f"a review is {asked}: {published.review}. Another Platform Admin than its authors decides it")
    elif published.changed:
        output.say(f"published {published.slug} {published.version} to the {published.scope}, {published.digest}")
    else:
        output.say(f"unchanged: this document is {published.slug} {published.version} already")


@app.command()
def schema() -> None:
    """Print the JSON Schema of the template, by which editors complete the YAML.

    Example: `dibop connector schema > template.schema.json`
    """
    from shared.contracts.template import json_schema

    output.print_json(json_schema())


def _print_problems(file: Path, problems: list[Problem], kind: str) -> None:
    """`file:line:column: error: path: problem mend`, which editors and people can follow; to standard output."""
    for problem in problems:
        place = str(file) if problem.line is None else f"{file}:{problem.line}:{problem.column or 1}"
        output.say(f"{place}: {kind}: {problem.path or 'the document'}: {problem.problem} {problem.mend}")


def _refuse_invalid(read: TemplateFile) -> None:
    if not output.is_json():
        _print_problems(read.path, read.errors, "error")
        output.note("not saved. Mend these, or save the draft as it is with --allow-invalid")
        runner.fail()
    read.require_valid()


async def _find(client: Client, slug: str, owner: str | None) -> Connector:
    from dibop.admin import Registry

    return await Registry(client, options.owner_named(client, owner) or client.enterprise).require_connector(slug)
