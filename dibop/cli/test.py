"""`dibop connector test`, and `dibop test`: runs that were made, with what they sent and got."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dibop.cli import authorize, exchanges, options, output, runner

if TYPE_CHECKING:
    from dibop.admin import Publisher
    from dibop.client import Client
    from shared.contracts.commands import StartTest, TestCancelled, TestPage, TestRun, TestStep

app = typer.Typer(help="Look at test runs of drafts, and end them.", no_args_is_help=True)

Slug = Annotated[str, typer.Argument(help="The connector's slug.", metavar="SLUG")]
RunId = Annotated[str, typer.Argument(help="The run's id.", metavar="RUN")]


def run_test(
    slug: Slug,
    *,
    operations: Annotated[
        list[str] | None,
        typer.Option("--operation", metavar="NAME", help="Only this one; repeatable. By default all idempotent ones."),
    ] = None,
    credentials_file: options.CredentialsFile = None,
    consent: Annotated[
        bool,
        typer.Option("--authorize", help="Ask for a person's consent first: for OAuth2's authorization_code grant."),
    ] = False,
    no_browser: authorize.NoBrowser = False,
    port: authorize.Port = 0,
    redirect_host: authorize.RedirectHost = "127.0.0.1",
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=0.1, max=300, help="Seconds that one attempt may take.")
    ] = None,
    owner: options.Owner = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Run operations of the draft with their sample values through an executor; successes are evidence for publishing.

    Each step is told as it ends. Credentials are used for this run alone. Ctrl-C cancels it. Exit code 1 where a step
    fails. `dibop test show` tells afterwards what was sent and got.

    Examples: `dibop connector test openweathermap --credentials-file key.yaml`,
    `dibop connector test crm --operation create_contact`, `dibop connector test crm --authorize`
    """
    way = authorize.way_of(browser=not no_browser, host=redirect_host, port=port, timeout=authorize.LONGEST_WAIT)

    async def work(client: Client) -> TestRun:
        from dibop.admin import Publisher
        from dibop.cli import credentials
        from shared.contracts.commands import StartTest

        draft, template = await credentials.draft_template(client, slug, options.owner_named(client, owner))
        sealed = credentials.for_test(client, template, draft.owner, credentials_file)
        if consent:
            sealed = await authorize.for_test(client, template, sealed, draft.owner, way)
        command = StartTest(slug=slug, operations=operations, credentials=sealed, timeout=timeout)
        return await _followed(Publisher(client, draft.owner), command, quiet=as_json)

    run = runner.with_client(home, work)
    if as_json:
        output.print_json(run.model_dump(mode="json", exclude={"steps": {"__all__": {"exchange"}}}))
    else:
        _print_end(run)
    if run.state != "passed":
        runner.fail()


@app.command("list")
def list_tests(
    slug: Slug,
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="How many, the newest first.")] = 20,
    before: Annotated[
        int | None, typer.Option("--before", min=1, help="Where the page before left off: its `next_before`.")
    ] = None,
    owner: options.Owner = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """List the test runs of a connector that are kept, the newest first.

    Kept are the last 50, and those besides that are evidence for the draft.

    Example: `dibop test list openweathermap`
    """

    async def work(client: Client) -> TestPage:
        from dibop.admin import Publisher, require_draft
        from shared.contracts.commands import ListTests

        draft = await require_draft(client, slug, options.owner_named(client, owner))
        return await Publisher(client, draft.owner).tests(ListTests(slug=slug, limit=limit, before=before))

    page = runner.with_client(home, work)
    if as_json:
        output.print_json(page.model_dump(mode="json"))
        return
    output.print_table(
        ["run", "state", "revision", "by", "started", "passed", "failed", "skipped", "reason"],
        [
            (r.run_id, r.state, r.revision, r.actor, r.started_at, r.passed, r.failed, r.skipped, r.reason or "")
            for r in page.runs
        ],
        "It was not tested yet.",
    )
    if page.next_before is not None:
        output.note(f"there are more: --before {page.next_before}")


@app.command()
def show(
    run: RunId,
    *,
    operation: Annotated[str | None, typer.Option("--operation", metavar="NAME", help="This one alone.")] = None,
    owner: options.Owner = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Show a test run: its steps, and what each operation sent and got, without secrets.

    Examples: `dibop test show 6f1f3a52-6f0f-4e0e-9f6e-0f4c8a5b7d11`,
    `dibop test show 6f1f3a52-6f0f-4e0e-9f6e-0f4c8a5b7d11 --operation get_weather --json`
    """

    async def work(client: Client) -> TestRun:
        publisher, found = await _find(client, run, owner)
        wanted = [step for step in found.steps if operation is None or step.operation == operation]
        if operation is not None and not wanted:
            return await publisher.test(run, operation)
        steps = [await _whole(publisher, run, step) for step in wanted]
        return found.model_copy(update={"steps": steps})

    shown = runner.with_client(home, work)
    if as_json:
        output.print_json(shown.model_dump(mode="json"))
        return
    output.say(f"{shown.slug} of {shown.owner}, revision {shown.revision}, {shown.digest}")
    output.say(f"{shown.started_at} by {shown.actor}")
    for step in shown.steps:
        _print_step(step)
        exchanges.print_exchange(step)
    _print_end(shown)


@app.command()
def cancel(
    run: RunId, *, owner: options.Owner = None, home: options.Home = None, as_json: options.Json = False
) -> None:
    """End a test run. What it found until then stays evidence; what an executor has under way may still happen.

    Example: `dibop test cancel 6f1f3a52-6f0f-4e0e-9f6e-0f4c8a5b7d11`
    """

    async def work(client: Client) -> TestCancelled:
        publisher, _ = await _find(client, run, owner)
        return await publisher.cancel_test(run)

    cancelled = runner.with_client(home, work)
    if as_json:
        output.print_json(cancelled.model_dump(mode="json"))
    else:
        output.say("cancelled" if cancelled.changed else f"it had ended before: {cancelled.state}")


async def _followed(publisher: Publisher, command: StartTest, *, quiet: bool) -> TestRun:
    """The whole run, its steps printed as they end; a run that nobody follows any more is cancelled."""
    import asyncio
    import contextlib

    from dibop.errors import DibopError

    run = await publisher.start_test(command)
    try:
        with output.waiting(f"testing {command.slug}") as say:
            async for step in publisher.follow_test(run.slug, run.run_id):
                if step.outcome is None:
                    say(f"testing {command.slug}: {step.name}")
                elif not quiet:
                    _print_step(step)
        return await publisher.test(run.run_id)
    except asyncio.CancelledError:
        with contextlib.suppress(DibopError):
            await publisher.cancel_test(run.run_id)
        raise


async def _whole(publisher: Publisher, run: str, step: TestStep) -> TestStep:
    """The step with what it sent and got, where it came to that."""
    if step.operation is None or step.outcome in {None, "skip"}:
        return step
    return (await publisher.test(run, step.operation)).steps[0]


async def _find(client: Client, run: str, owner: str | None) -> tuple[Publisher, TestRun]:
    """The run, wherever the caller may look, with its publisher."""
    from dibop.admin import Publisher, owners_to_look_at
    from dibop.errors import NotAllowedError, NotFoundError

    named = options.owner_named(client, owner)
    *others, last = [named] if named else owners_to_look_at(client)
    for enterprise in others:
        publisher = Publisher(client, enterprise)
        try:
            return publisher, await publisher.test(run)
        except (NotAllowedError, NotFoundError):
            continue
    publisher = Publisher(client, last)
    return publisher, await publisher.test(run)


def _print_step(step: TestStep) -> None:
    style = {"pass": "green", "fail": "red", "skip": "yellow"}.get(step.outcome or "", "dim")
    output.say(_line(step.outcome or "running", step.name, step.status_code, step.duration_ms, step.reason), style)
    for part in step.parts:
        output.say("  " + _line(part.outcome, part.name, None, part.duration_ms, part.reason), "dim")
    for error in step.schema_errors:
        output.say(f"      at {error.get('path') or '/'}: {error.get('problem')}")


def _line(outcome: str, name: str, status: int | None, duration_ms: float | None, reason: str | None) -> str:
    took = "" if duration_ms is None else f"{duration_ms:.0f} ms"
    columns: list[Any] = [f"{outcome:<7}", f"{name:<28}", f"{status or '':>3}", f"{took:>9}", reason or ""]
    return " ".join(columns).rstrip()


def _print_end(run: TestRun) -> None:
    counts = f"{run.passed} passed, {run.failed} failed, {run.skipped} skipped"
    output.say(f"{run.state}: {counts}; revision {run.revision}, run {run.run_id}")
    if run.reason:
        output.say(run.reason)
