"""Reviews: when one is asked for, who decides it, and what comes of that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.publisher.domain.moves import MoveState
from services.publisher.handlers import reviewing
from services.publisher.handlers.publishing import publish
from services.publisher.handlers.saga import MoveRunner
from shared.contracts import commands as c
from shared.contracts.errors import DibopError
from shared.security.principals import Principal, Role
from tests.unit.publisher.documents import api_key, edited
from tests.unit.publisher.fakes import VIEWER, World, caller

AUTHOR = Principal("max", "acme", frozenset({Role.ENTERPRISE_ADMIN_SDK}))
"""Hands in what `ada` has saved."""
ADA = Principal("ada", "platform", frozenset({Role.PLATFORM_ADMIN}))
PAT = Principal("pat", "platform", frozenset({Role.PLATFORM_ADMIN}))
STRANGER = Principal("eve", "globex", frozenset({Role.ENTERPRISE_ADMIN_SDK}))


class Office:
    """acme's draft of `weather`, tested, and those who deal with it."""

    def __init__(self) -> None:
        self.world = World()
        self.runner = MoveRunner(self.world.store, self.world.registry, self.world.catalogue, first_wait_seconds=0.001)
        self.save()

    def save(self, owner: str = "acme", **edits: Any) -> None:
        self.world.registry.save(edited(api_key(), edits), owner)
        self.world.all_tested(owner=owner)

    async def publish(self, owner: str = "acme", who: Principal = AUTHOR, *, always: bool = False) -> c.Published:
        command = c.PublishConnector(slug="weather", scope="catalogue", notes="For all.")
        asking = caller(owner, who)
        return await publish(asking, command, self.world.ports, self.runner, wait_seconds=10, reviews_platform=always)

    async def request(self) -> str:
        return str((await self.publish()).review)

    async def approve(self, review: str, who: Principal = PAT, **body: Any) -> c.ReviewDecided:
        command = c.ApproveReview(id=review, **body)
        return await reviewing.approve(caller("platform", who), command, self.world.ports, self.runner, wait_seconds=10)

    async def reject(self, review: str, who: Principal = PAT) -> c.ReviewDecided:
        command = c.RejectReview(id=review, comment="The description says nothing.")
        return await reviewing.reject(caller("platform", who), command, self.world.ports)

    async def show(self, review: str, enterprise: str = "acme", who: Principal = AUTHOR) -> c.Review:
        return await reviewing.show(caller(enterprise, who), c.ShowReview(id=review), self.world.ports)

    async def page(self, enterprise: str = "platform", who: Principal = PAT, **query: Any) -> c.ReviewPage:
        return await reviewing.page(caller(enterprise, who), c.ListReviews(**query), self.world.ports)


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    made = Office()
    yield made
    await made.runner.stop()


async def refused(attempt: Any) -> DibopError:
    with pytest.raises(DibopError) as caught:
        await attempt
    return caught.value


async def test_an_enterprises_draft_enters_the_catalogue_through_a_review(office: Office) -> None:
    asked = await office.publish()

    assert (asked.version, asked.changed, asked.owner) == (None, True, "acme")
    assert office.world.catalogue.entries == {}
    (told,) = office.world.store.told("review_requested")
    assert told.subject == "evt.v1.acme.connector.weather.review_requested"
    assert (told.data["review"], told.data["requested_by"]) == (asked.review, "max")

    decided = await office.approve(str(asked.review), comment="Good.")

    assert decided.published is not None
    assert (decided.state, decided.published.version, decided.published.owner) == ("approved", "1.0.0", "platform")
    assert [v.digest for v in office.world.catalogue.entries["platform.weather"].versions] == [asked.digest]
    (published,) = office.world.store.told("version_published")
    assert published.subject == "evt.v1.platform.connector.weather.version_published"
    assert (published.data["published_by"], published.data["reviewed_by"]) == ("max", "pat")
    (decision,) = office.world.store.told("review_decided")
    assert decision.subject == "evt.v1.acme.connector.weather.review_decided"
    assert (decision.data["decision"], decision.data["decided_by"], decision.data["comment"]) == (
        "approved",
        "pat",
        "Good.",
    )
    assert (await office.publish()).version == "1.0.0"


async def test_what_the_gate_lacks_is_not_reviewed(office: Office) -> None:
    office.world.store.evidence.clear()

    assert (await refused(office.publish())).code == "not-publishable"
    assert office.world.store.kept_reviews == {}


async def test_the_same_document_is_reviewed_once_at_a_time(office: Office) -> None:
    first, again = await office.publish(), await office.publish()

    assert (again.review, again.changed) == (first.review, False)
    assert len(office.world.store.told("review_requested")) == 1


async def test_another_document_takes_the_place_of_the_one_under_review(office: Office) -> None:
    first = await office.request()
    office.save(**{"/description": "Other words."})

    second = await office.request()

    assert [(row.id, row.state) for row in (await office.page()).reviews] == [(second, "open"), (first, "superseded")]
    refusal = await refused(office.approve(first))
    assert (refusal.code, "superseded" in refusal.detail) == ("conflict", True)


async def test_what_was_reviewed_is_published_though_the_draft_goes_on(office: Office) -> None:
    review = await office.request()
    office.save(**{"/description": "Other words."})

    decided = await office.approve(review)

    (version,) = office.world.registry.versions["platform", "weather"]
    assert decided.published is not None
    assert (version.document, version.version) == (api_key(), "1.0.0")


@pytest.mark.parametrize(
    ("who", "words"),
    [(ADA, "is an author"), (AUTHOR, "may not decide reviews"), (VIEWER, "may not"), (STRANGER, "may not")],
)
async def test_another_platform_admin_than_the_authors_decides(office: Office, who: Principal, words: str) -> None:
    """`ada` has saved the draft, though somebody else handed it in."""
    review = await office.request()

    for attempt in (office.approve(review, who), office.reject(review, who)):
        refusal = await refused(attempt)
        assert (refusal.code, words in refusal.detail) == ("forbidden", True)
    assert (await office.show(review)).state == "open"


async def test_a_rejection_says_why_and_lets_the_author_try_again(office: Office) -> None:
    review = await office.request()

    await office.reject(review)

    shown = await office.show(review)
    assert (shown.state, shown.decided_by) == ("rejected", "pat")
    assert [(said.author, said.text) for said in shown.comments] == [("pat", "The description says nothing.")]
    assert (await refused(office.approve(review))).code == "conflict"
    assert await office.request() != review


async def test_author_and_reviewer_talk(office: Office) -> None:
    review = await office.request()
    for enterprise, who, text in (("platform", PAT, "Which units?"), ("acme", AUTHOR, "Metric.")):
        command = c.CommentReview(id=review, text=text)
        await reviewing.comment(caller(enterprise, who), command, office.world.ports)

    shown = await office.show(review, "platform", PAT)

    assert [said.text for said in shown.comments] == ["Which units?", "Metric."]
    assert (shown.document, shown.authors, shown.notes) == (api_key(), ["ada", "max"], "For all.")


async def test_anothers_review_is_nowhere(office: Office) -> None:
    review = await office.request()

    refusal = await refused(office.show(review, "globex", STRANGER))
    missing = await refused(office.show("nothing", "globex", STRANGER))

    assert refusal.code == missing.code == "not-found"
    assert (await office.page("globex", STRANGER)).reviews == []
    assert [row.id for row in (await office.page("acme", AUTHOR)).reviews] == [review]


async def test_lists_are_filtered_and_paged(office: Office) -> None:
    reviews: list[str] = []
    for text in ("One.", "Two.", "Three."):
        office.save(**{"/description": text})
        reviews.insert(0, await office.request())

    first = await office.page(limit=2)
    rest = await office.page(limit=2, before=first.next_before)

    assert [row.id for row in (*first.reviews, *rest.reviews)] == reviews
    assert rest.next_before is None
    assert [row.id for row in (await office.page(state="open")).reviews] == reviews[:1]
    assert (await office.page(slug="other")).reviews == []


async def test_approving_twice_publishes_once(office: Office) -> None:
    review = await office.request()

    first, second = await asyncio.gather(office.approve(review), office.approve(review))

    assert {d.published.version for d in (first, second) if d.published} == {"1.0.0"}
    assert len(office.world.store.told("version_published")) == len(office.world.store.told("review_decided")) == 1


async def test_a_bump_that_is_asked_for_by_either_counts(office: Office) -> None:
    await office.approve(await office.request())
    office.save(**{"/description": "Other words."})

    decided = await office.approve(await office.request(), bump="minor")

    assert decided.published is not None
    assert decided.published.version == "1.1.0"


async def test_the_registrys_refusal_is_answered_and_the_author_may_try_again(office: Office) -> None:
    review = await office.request()
    office.world.registry.failures = [DibopError("conflict", "The platform has a draft of its own.")]

    refusal = await refused(office.approve(review))

    assert "a draft of its own" in refusal.detail
    assert [move.state for move in office.world.store.moves.values()] == [MoveState.FAILED]
    assert (await office.approve(await office.request())).published is not None


async def test_what_would_cover_the_platforms_own_changes_is_not_approved(office: Office) -> None:
    review = await office.request()
    office.save("platform", **{"/description": "The platform's own."})

    error = await refused(office.approve(review))

    assert error.code == "conflict"
    assert "changes that are not published" in error.detail
    assert (await office.show(review)).state == "open"
    assert office.world.store.told("review_decided") == []


@pytest.mark.parametrize("anew", [False, True])
async def test_a_draft_that_was_deleted_since_is_not_approved(office: Office, *, anew: bool) -> None:
    review = await office.request()
    del office.world.registry.drafts["acme", "weather"]
    if anew:
        office.save(**{"/description": "Another one by the same name."})

    error = await refused(office.approve(review))

    assert error.code == "conflict"
    assert "has deleted the draft" in error.detail
    assert (await office.show(review)).state == "open"
    assert office.world.store.told("review_decided") == []


async def test_the_platforms_own_drafts_are_reviewed_where_that_is_set(office: Office) -> None:
    office.save("platform")

    asked = await office.publish("platform", ADA, always=True)
    assert asked.review is not None
    assert (await refused(office.approve(asked.review, ADA))).code == "forbidden"
    decided = await office.approve(asked.review)

    assert decided.published is not None
    assert decided.published.version == "1.0.0"
    assert (await office.publish("platform", ADA)).version == "1.0.0"
