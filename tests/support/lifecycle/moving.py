"""The model of commands that test, publish, review and withdraw."""

from __future__ import annotations

from collections.abc import Collection

from tests.support.lifecycle.content import PATCH, Bump, Content, bump, bumped
from tests.support.lifecycle.drafting import Answer
from tests.support.lifecycle.people import PLATFORM, Person
from tests.support.lifecycle.state import (
    OFFERED,
    USABLE,
    Place,
    RefusedError,
    Review,
    Revision,
    State,
    Version,
    chosen,
    last,
    named,
    owners,
)

LEADS: dict[str, frozenset[str]] = {
    "deprecated": frozenset({"published", "deprecated"}),
    "unpublished": frozenset({"published", "deprecated"}),
    "retired": frozenset({"deprecated", "unpublished"}),
}
VERBS = {"deprecated": "deprecate", "unpublished": "unpublish", "retired": "retire"}
_EVENTS = {"deprecated": "version_deprecated", "unpublished": "unpublished", "retired": "retired"}


def test(state: State, person: Person, place: Place, failing: Collection[str]) -> Answer:
    state.require(person, place[0], "author")
    revisions = state.draft(place)
    content = revisions[-1].content
    if content.broken:
        raise RefusedError("invalid-template")
    for definition in content.definitions():
        state.evidence[place, definition] = definition[0] not in failing
    state.log(place[0], "test.run", place[1], person.name)
    state.tell(place, "test_completed", "publisher", len(revisions))
    return {"revision": len(revisions)}


def publish(
    state: State, person: Person, place: Place, scope: str, wanted: Bump | None, *, reviews_platform: bool
) -> Answer:
    """Where a review comes first, the answer tells which by `review`; that of a new one is not foretold."""
    enterprise, slug = place
    state.require(person, enterprise, "author")
    if enterprise == PLATFORM and scope == "enterprise":
        raise RefusedError("not-publishable")
    owner = PLATFORM if scope == "catalogue" else enterprise
    revisions = state.draft(place)
    content = revisions[-1].content
    newest = last(state.of((owner, slug)))
    if newest is not None and newest.content == content and newest.state == "published":
        return {"changed": False, "version": newest.name, "owner": owner, "review": None}
    _require_passed(state, place, content, scope)
    if owner != enterprise or (owner == PLATFORM and reviews_platform):
        return _ask_review(state, person, place, wanted)
    version = _release(state, person.name, (owner, slug), content, wanted, "connector.publish")
    return {"changed": True, "version": version.name, "owner": owner, "review": None}


def approve(state: State, person: Person, enterprise: str, review: Review, wanted: Bump | None) -> Answer:
    """An approval publishes what was reviewed, or is refused and nothing is decided."""
    state.require(person, enterprise, "decide")
    if review.state == "approved" and review.decided_by == person.name:
        return {"state": "approved", "published": {"version": review.version, "changed": False}}
    _require_decidable(person, review)
    _require_passed(state, review.place, review.content, "catalogue")
    slug = review.place[1]
    target = (PLATFORM, slug)
    asked = max((each for each in (review.bump, wanted) if each is not None), default=None)
    _require_enough(last(state.of(target)), review.content, asked)
    if review.place != target:
        _require_adoptable(state, review)
    requester = review.requested_by
    if review.place != target and (target not in state.drafts or state.drafts[target][-1].content != review.content):
        state.drafts.setdefault(target, []).append(Revision(review.content, requester))
    review.state, review.decided_by = "approved", person.name
    _tell_decision(state, person, review)
    version = _release(state, requester, target, review.content, asked, "connector.publish")
    review.version = version.name
    return {"state": "approved", "published": {"version": version.name, "changed": True}}


def reject(state: State, person: Person, enterprise: str, review: Review) -> Answer:
    state.require(person, enterprise, "decide")
    _require_decidable(person, review)
    review.state, review.decided_by = "rejected", person.name
    _tell_decision(state, person, review)
    return {"state": "rejected"}


def comment(state: State, person: Person, enterprise: str, review: Review) -> Answer:
    state.require(person, enterprise, "author")
    if enterprise not in (PLATFORM, review.place[0]):
        raise RefusedError("not-found")
    state.log(review.place[0], "review.comment", review.place[1], person.name)
    return {"id": review.id}


def roll_back(state: State, person: Person, place: Place, name: str, wanted: Bump | None) -> Answer:
    state.require(person, place[0], "author")
    versions = state.own(place)
    content_of = named(versions, name)
    if content_of.state == "retired":
        raise RefusedError("conflict")
    newest = last(versions)
    assert newest is not None
    if newest.content == content_of.content and newest.state == "published":
        return {"changed": False, "version": newest.name}
    version = _release(state, person.name, place, content_of.content, wanted, "connector.rollback")
    return {"changed": True, "version": version.name}


def withdraw(
    state: State, person: Person, place: Place, wanted: str, name: str | None, successor: str | None, date: str | None
) -> Answer:
    """To `deprecated`, `unpublished` or `retired`: one version, or all that this can be said of."""
    state.require(person, place[0], "author")
    versions = state.own(place)
    meant = _meant(versions, wanted, name, successor)
    told = (successor, date) if wanted == "deprecated" else (None, None)
    moving = [each for each in meant if each.state != wanted or (each.successor, each.date) != told]
    if any(each.state not in LEADS[wanted] for each in moving):
        raise RefusedError("conflict")
    if not moving:
        return {"changed": False, "versions": []}
    code = _in_the_way(state, place, moving, wanted, successor)
    if code is not None:
        state.log(place[0], f"connector.{VERBS[wanted]}-failed", place[1], person.name)
        raise RefusedError(code)
    for each in sorted(moving, key=lambda version: version.number):
        each.state, (each.successor, each.date) = wanted, told
        state.tell(place, _EVENTS[wanted], "publisher", each.name)
    state.log(place[0], "version.set-state", place[1], person.name)
    state.log(place[0], f"connector.{VERBS[wanted]}", place[1], person.name)
    return {"changed": True, "versions": [each.name for each in sorted(moving, key=lambda version: version.number)]}


def _meant(versions: list[Version], wanted: str, name: str | None, successor: str | None) -> list[Version]:
    if name is not None:
        return [named(versions, name)]
    if not versions:
        raise RefusedError("not-found")
    if wanted == "retired":
        return [each for each in versions if each.state != "retired"]
    states = {"published"} if wanted == "deprecated" else {"published", "deprecated"}
    return [each for each in versions if each.state in states and each.name != successor]


def _in_the_way(state: State, place: Place, moving: list[Version], wanted: str, successor: str | None) -> str | None:
    versions = state.of(place)
    if wanted == "retired":
        for key, connection in state.connections.items():
            if (connection.owner, key[1]) == place and chosen(versions, connection.policy, USABLE) in moving:
                return "conflict"
    if successor is not None:
        if successor[0].isdigit():
            fits = any(each.name == successor and each.state == "published" for each in versions)
            fits = fits and successor not in {each.name for each in moving}
        else:
            owner = next((each for each in owners(place[0]) if state.of((each, successor))), None)
            offered = owner is not None and any(each.state in OFFERED for each in state.of((owner, successor)))
            fits = offered and successor != place[1]
        if not fits:
            return "invalid-request"
    return None


def _ask_review(state: State, person: Person, place: Place, wanted: Bump | None) -> Answer:
    content = state.drafts[place][-1].content
    present = next((each for each in state.reviews if each.place == place and each.state == "open"), None)
    if present is not None and present.content == content:
        return {"changed": False, "version": None, "review": present.id}
    if present is not None:
        present.state = "superseded"
    saved_by = state.drafts[place][-1].saved_by
    asked = Review("", place, len(state.drafts[place]), content, saved_by, person.name, wanted)
    state.reviews.append(asked)
    state.log(place[0], "review.request", place[1], person.name)
    state.tell(place, "review_requested", "publisher", asked.revision)
    return {"changed": True, "version": None}


def _require_passed(state: State, place: Place, content: Content, scope: str) -> None:
    tested = all(state.evidence.get((place, each)) for each in content.definitions())
    if content.broken or not tested or (scope == "catalogue" and content.bare):
        raise RefusedError("not-publishable")


def _require_decidable(person: Person, review: Review) -> None:
    if review.state != "open":
        raise RefusedError("conflict")
    if person.name in review.authors:
        raise RefusedError("forbidden")


def _require_adoptable(state: State, review: Review) -> None:
    """The draft that was reviewed is still there, and nothing of the platform's own draft would be covered."""
    source, target = state.drafts.get(review.place, []), (PLATFORM, review.place[1])
    if len(source) < review.revision or source[review.revision - 1].content != review.content:
        raise RefusedError("conflict", "not-found")
    if target in state.drafts and state.drafts[target][-1].content != review.content:
        newest = last(state.of(target))
        if newest is None or newest.content != state.drafts[target][-1].content:
            raise RefusedError("conflict")


def _require_enough(newest: Version | None, content: Content, wanted: Bump | None) -> None:
    if newest is not None and wanted is not None and wanted < bump(newest.content, content):
        raise RefusedError("not-publishable")


def _release(state: State, actor: str, place: Place, content: Content, wanted: Bump | None, action: str) -> Version:
    newest = last(state.of(place))
    _require_enough(newest, content, wanted)
    by = PATCH if newest is None else max(bump(newest.content, content), wanted or PATCH)
    version = Version((1, 0, 0) if newest is None else bumped(newest.number, by), content)
    state.versions.setdefault(place, []).append(version)
    state.log(place[0], "version.add", place[1], actor)
    state.log(place[0], action, place[1], actor)
    state.tell(place, "version_published", "publisher", version.name)
    return version


def _tell_decision(state: State, person: Person, review: Review) -> None:
    state.log(review.place[0], f"review.{review.state}", review.place[1], person.name)
    state.tell(review.place, "review_decided", "publisher", review.state)
