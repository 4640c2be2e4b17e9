"""Test runs of a draft: started, followed as they go, looked at later, cancelled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Path, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import Field

from services.console.api import routing, streams
from services.console.api.dependencies import Desk, DeskOf, OwnerQuery, SlugPath
from services.console.api.grants import grant_of
from services.console.api.models import View
from services.console.api.streams import Look
from shared.contracts import commands as c
from shared.contracts.errors import DibopError
from shared.contracts.limits import MAX_NAMES, MAX_REVISION
from shared.contracts.subjects import events

router = routing.router("tests", "/connectors/{slug}/tests")

RunId = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$", description="The run.")]
OperationName = Annotated[str | None, Query(max_length=256, description="That step alone, with what it sent and got.")]
_EVERY_SECONDS: Final = 2.0


class StartTest(View):
    """Without `operations` all idempotent ones are run. `parameters` take the place of the operations' samples.

    `credentials_id` is of kept test credentials; without it a session uses what was authorized for its tests, if
    anything. `timeout` bounds one attempt, in seconds.
    """

    operations: Annotated[list[str] | None, Field(max_length=MAX_NAMES, examples=[["get_current_weather"]])] = None
    parameters: Annotated[
        dict[str, dict[str, Any]], Field(max_length=MAX_NAMES, examples=[{"get_current_weather": {"q": "London"}}])
    ] = Field(default_factory=dict)
    credentials_id: Annotated[str | None, Field(pattern=r"^[0-9a-f-]{36}$")] = None
    timeout: Annotated[float | None, Field(gt=0, le=300)] = None


@router.post("", status_code=202, summary="Test the draft as it is saved")
async def start(slug: SlugPath, body: StartTest, desk: DeskOf, owner: OwnerQuery = None) -> c.TestStarted:
    """Answers at once; the run goes on by itself, whoever follows it."""
    owner = await desk.owner(slug, owner)
    granted = None if body.credentials_id else await grant_of(desk, owner, slug)
    command = routing.built(c.StartTest, slug=slug, credentials=granted, **body.model_dump())
    return await desk.publisher(owner, "test.start", command, c.TestStarted)


@router.get("", summary="A connector's test runs, newest first")
async def page(
    slug: SlugPath,
    desk: DeskOf,
    owner: OwnerQuery = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
    before: Annotated[int | None, Query(ge=1, le=MAX_REVISION, description="`next_before` of the page before.")] = None,
) -> c.TestPage:
    query = c.ListTests(slug=slug, limit=limit, before=before)
    return await desk.publisher(await desk.owner(slug, owner), "test.list", query, c.TestPage)


@router.get("/{run_id}", summary="A test run as it stands")
async def show(
    slug: SlugPath, run_id: RunId, desk: DeskOf, owner: OwnerQuery = None, operation: OperationName = None
) -> c.TestRun:
    return await _shown(desk, await desk.owner(slug, owner), slug, run_id, operation)


@router.post("/{run_id}/cancel", summary="End a test run")
async def cancel(slug: SlugPath, run_id: RunId, desk: DeskOf, owner: OwnerQuery = None) -> c.TestCancelled:
    """What an executor has under way may still happen."""
    command = routing.built(c.CancelTest, run_id=run_id)
    return await desk.publisher(await desk.owner(slug, owner), "test.cancel", command, c.TestCancelled)


class FollowedRun:
    """A run, and what of it was told: every step up to `seq`."""

    def __init__(self, desk: Desk, owner: str, run: c.TestRun, seq: int) -> None:
        self.desk = desk
        self.owner = owner
        self._run: c.TestRun | None = run
        self._id, self._slug, self._seq = run.run_id, run.slug, seq

    @property
    def subject(self) -> str:
        return events(self.owner, f"connector.{self._slug}.*")

    async def look(self) -> Look:
        run, self._run = self._run or await _shown(self.desk, self.owner, self._slug, self._id, None), None
        news = sorted((step for step in run.steps if step.seq > self._seq), key=lambda step: step.seq)
        told = [
            ServerSentEvent(
                event="progress", id=str(step.seq), data={"run_id": run.run_id, "step": step.model_dump(mode="json")}
            )
            for step in news
        ]
        self._seq = max((step.seq for step in news), default=self._seq)
        over = run.state != "running"
        if over:
            told.append(
                ServerSentEvent(event="done", id=str(self._seq), data={"run_id": run.run_id, "state": run.state})
            )
        return Look(told, over)


async def _followed(
    slug: SlugPath,
    run_id: RunId,
    desk: DeskOf,
    owner: OwnerQuery = None,
    last_event_id: Annotated[str | None, Header(max_length=20, description="What was told last.")] = None,
) -> FollowedRun:
    """What may not be read, or is not there, is refused before a stream begins."""
    streams.require_room(desk)
    owner = await desk.owner(slug, owner)
    run = await _shown(desk, owner, slug, run_id, None)
    return FollowedRun(desk, owner, run, int(last_event_id) if last_event_id and last_event_id.isdecimal() else 0)


@router.get(
    "/{run_id}/events", response_class=EventSourceResponse, summary="A test run as it goes (server-sent events)"
)
async def follow(followed: Annotated[FollowedRun, Depends(_followed)]) -> AsyncIterator[ServerSentEvent]:
    """`progress` with each step as it begins and as it ends, then `done` with the run's state.

    A run that has ended is told anew; with `Last-Event-ID` from there on.
    """
    desk = followed.desk
    async for event in streams.follow(desk, followed.subject, followed.look, at_least_every=_EVERY_SECONDS):
        yield event


async def _shown(desk: Desk, owner: str, slug: str, run_id: str, operation: str | None) -> c.TestRun:
    query = routing.built(c.ShowTest, run_id=run_id, operation=operation)
    run = await desk.publisher(owner, "test.show", query, c.TestRun)
    if run.slug != slug:
        raise DibopError("not-found", f"{slug!r} has no test run {run_id}. List its runs.")
    return run
