"""`dibop review`: what waits for somebody else than its author to let it into the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dibop.cli import options, output, runner

if TYPE_CHECKING:
    from dibop.admin import Publisher
    from dibop.client import Client
    from shared.contracts.commands import Review, ReviewCommented, ReviewDecided, ReviewRow

app = typer.Typer(help="Look at what is to enter the catalogue, and decide.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="The review's id.", metavar="REVIEW")]


@app.command("list")
def list_reviews(
    slug: Annotated[str | None, typer.Argument(help="Only those of this connector.", metavar="[SLUG]")] = None,
    *,
    state: Annotated[
        Literal["open", "approved", "rejected", "superseded"] | None,
        typer.Option("--state", help="Only those in this state."),
    ] = None,
    owner: options.Owner = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """List reviews, the newest first: everybody's for Platform Admins, your enterprise's for others.

    Examples: `dibop review list --state open`, `dibop review list crm --owner enterprise`
    """

    async def work(client: Client) -> list[ReviewRow]:
        from shared.contracts.commands import ListReviews

        return await _publisher(client, owner).reviews(ListReviews(slug=slug, state=state))

    found = runner.with_client(home, work)
    if as_json:
        output.print_json([row.model_dump(mode="json") for row in found])
        return
    output.print_table(
        ["review", "connector", "of", "revision", "state", "authors", "asked", "decided by"],
        [
            (r.id, r.slug, r.owner, r.revision, r.state, ", ".join(r.authors), r.requested_at, r.decided_by)
            for r in found
        ],
        "Nothing is or was under review.",
    )


@app.command()
def show(review: Id, owner: options.Owner = None, home: options.Home = None, as_json: options.Json = False) -> None:
    """Show a review: what is to be published, and what was said.

    Example: `dibop review show 6f1f3a52-6f0f-4e0e-9f6e-0f4c8a5b7d11 --json`
    """

    async def work(client: Client) -> Review:
        return await _publisher(client, owner).review(review)

    found = runner.with_client(home, work)
    if as_json:
        output.print_json(found.model_dump(mode="json"))
        return
    output.say(f"{found.slug} of {found.owner}, revision {found.revision}, to the {found.scope}: {found.state}")
    output.say(f"asked for at {found.requested_at}, by or of {', '.join(found.authors)}; {found.digest}")
    if found.notes:
        output.say(f"notes: {found.notes}")
    for said in found.comments:
        output.say(f"{said.at} {said.author}: {said.text}")
    output.print_json(found.document)


@app.command()
def comment(
    review: Id,
    text: Annotated[str, typer.Argument(help="What you have to say.", metavar="TEXT")],
    *,
    owner: options.Owner = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Say something about a review, as its author or as a Platform Admin.

    Example: `dibop review comment 6f1f3a52-6f0f-4e0e-9f6e-0f4c8a5b7d11 "Which units does it answer in?"`
    """

    async def work(client: Client) -> ReviewCommented:
        from shared.contracts.commands import CommentReview

        return await _publisher(client, owner).comment_review(CommentReview(id=review, text=text))

    commented = runner.with_client(home, work)
    if as_json:
        output.print_json(commented.model_dump(mode="json"))
    else:
        output.say(f"said; comments: {commented.comments}")


@app.command()
def approve(
    review: Id,
    *,
    comment: Annotated[str, typer.Option("--comment", help="What its authors should know.")] = "",
    bump: Annotated[
        Literal["major", "minor", "patch"] | None, typer.Option("--bump", help="At least this bump.")
    ] = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Let a draft into the catalogue, as it was reviewed. Takes a Platform Admin who is not one of its authors.

    Example: `dibop review approve 6f1f3a52-6f0f-4e0e-9f6e-0f4c8a5b7d11`
    """

    async def work(client: Client) -> ReviewDecided:
        from shared.contracts.commands import ApproveReview

        with output.waiting("publishing"):
            body = ApproveReview(id=review, comment=comment, bump=bump)
            return await _publisher(client, "platform").approve_review(body)

    decided = runner.with_client(home, work)
    if as_json:
        output.print_json(decided.model_dump(mode="json"))
    elif decided.published is not None:
        output.say(f"approved; published {decided.published.slug} {decided.published.version} to the catalogue")


@app.command()
def reject(
    review: Id,
    comment: Annotated[str, typer.Argument(help="What is to change.", metavar="COMMENT")],
    *,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Turn a draft down. Takes a Platform Admin who is not one of its authors.

    Example: `dibop review reject 6f1f3a52-6f0f-4e0e-9f6e-0f4c8a5b7d11 "The description says nothing."`
    """

    async def work(client: Client) -> ReviewDecided:
        from shared.contracts.commands import RejectReview

        return await _publisher(client, "platform").reject_review(RejectReview(id=review, comment=comment))

    decided = runner.with_client(home, work)
    if as_json:
        output.print_json(decided.model_dump(mode="json"))
    else:
        output.say("rejected; its author may change it and publish again")


def _publisher(client: Client, owner: str | None) -> Publisher:
    """Reviews are decided at the platform, which sees all of them; an enterprise sees its own."""
    from dibop.admin import Publisher, is_platform_admin
    from shared.contracts.names import PLATFORM

    at_platform = owner == "platform" or (owner is None and is_platform_admin(client))
    return Publisher(client, PLATFORM if at_platform else client.enterprise)
