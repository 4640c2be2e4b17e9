"""The model of commands that change drafts, connections and enterprises."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Final

from tests.support.lifecycle.content import Content
from tests.support.lifecycle.people import PLATFORM, Person
from tests.support.lifecycle.state import (
    OFFERED,
    USABLE,
    Connection,
    Place,
    RefusedError,
    Revision,
    State,
    chosen,
    latest,
    owners,
)

Answer = dict[str, Any]
"""What the answer of an allowed command must hold, at least."""
_CONTENT: Final = [each.name for each in fields(Content)]


def save(state: State, person: Person, place: Place, content: Content, base: int | None) -> Answer:
    state.require(person, place[0], "author")
    if place not in state.drafts:
        if base is not None:
            raise RefusedError("not-found")
        _require_free(state, place)
        return _next(state, person, place, content, "draft.save")
    if content != state.drafts[place][-1].content and base != len(state.drafts[place]):
        raise RefusedError("conflict")
    return _next(state, person, place, content, "draft.save")


def patch(state: State, person: Person, place: Place, base: int, changed: dict[str, Any]) -> Answer:
    """Fields that the author changed since `base`, and others otherwise, cannot be put together."""
    state.require(person, place[0], "author")
    revisions = state.draft(place)
    if base > len(revisions):
        raise RefusedError("conflict")
    before, theirs = revisions[base - 1].content, revisions[-1].content
    mine = replace(before, **changed)
    merged = {}
    for name in _CONTENT:
        was, there, here = (getattr(each, name) for each in (before, theirs, mine))
        if here not in (was, there) and there != was:
            raise RefusedError("conflict")
        merged[name] = there if here == was else here
    return _next(state, person, place, Content(**merged), "draft.save")


def restore(state: State, person: Person, place: Place, revision: int, base: int) -> Answer:
    state.require(person, place[0], "author")
    if revision > len(state.draft(place)):
        raise RefusedError("not-found")
    content = state.drafts[place][revision - 1].content
    _require_current(state, place, base)
    return _next(state, person, place, content, "draft.restore")


def discard(state: State, person: Person, place: Place, base: int) -> Answer:
    state.require(person, place[0], "author")
    state.draft(place)
    version = latest(state.of(place))
    if version is None:
        raise RefusedError("conflict")
    _require_current(state, place, base)
    return _next(state, person, place, version.content, "draft.discard")


def duplicate(state: State, person: Person, place: Place, new_slug: str, name: str) -> Answer:
    enterprise, slug = place
    state.require(person, enterprise, "author")
    if place in state.drafts:
        original = state.drafts[place][-1].content
    else:
        version = latest(state.of((PLATFORM, slug)))
        if version is None:
            raise RefusedError("not-found")
        original = version.content
    copy = (enterprise, new_slug)
    if copy in state.drafts:
        raise RefusedError("already-exists")
    _require_free(state, copy)
    return _next(state, person, copy, replace(original, name=name), "connector.duplicate")


def delete(state: State, person: Person, place: Place, base: int) -> Answer:
    enterprise, slug = place
    state.require(person, enterprise, "author")
    _require_current(state, place, base)
    used = any(key[1] == slug and each.owner == enterprise for key, each in state.connections.items())
    if state.of(place) or used:
        raise RefusedError("conflict")
    del state.drafts[place]
    state.log(enterprise, "connector.delete", slug, person.name)
    state.tell(place, "deleted", "registry", base)
    return {"owner": enterprise}


def look(state: State, person: Person, place: Place) -> Answer:
    """Reading a draft: of its authors alone, and everybody else finds none."""
    standing = state.standings.get(place[0])
    if place[0] != person.home and person.home != PLATFORM:
        raise RefusedError("forbidden")
    if standing is not None and standing.suspended and place[0] == person.home:
        raise RefusedError("enterprise-suspended")
    if not state.may(person, place[0], "author"):
        raise RefusedError("not-found")
    revisions = state.draft(place)
    return {"revision": len(revisions), "saved_by": revisions[-1].saved_by}


def connect(state: State, person: Person, place: Place, owner: str, name: str, policy: str, identifier: str) -> Answer:
    enterprise, slug = place
    state.require(person, enterprise, "connect")
    _require_document(state, person, enterprise, (owner, slug), policy, OFFERED)
    if (enterprise, slug, name) in state.connections:
        raise RefusedError("already-exists")
    state.connections[enterprise, slug, name] = Connection(identifier, owner, policy)
    _tell_connection(state, person, (enterprise, slug, name), "connection.create", "created")
    return {"id": identifier, "version_policy": policy}


def rotate(state: State, person: Person, place: Place, name: str, identifier: str) -> Answer:
    enterprise, slug = place
    state.require(person, enterprise, "connect")
    connection = state.connections.get((enterprise, slug, name))
    if connection is None:
        raise RefusedError("not-found")
    if connection.id != identifier:
        raise RefusedError("conflict")
    _require_document(state, person, enterprise, (connection.owner, slug), connection.policy, USABLE)
    connection.credentials += 1
    _tell_connection(state, person, (enterprise, slug, name), "connection.rotate", "rotated")
    return {"id": identifier}


def disconnect(state: State, person: Person, place: Place, name: str) -> Answer:
    state.require(person, place[0], "connect")
    key = (*place, name)
    if key not in state.connections:
        raise RefusedError("not-found")
    _tell_connection(state, person, key, "connection.delete", "deleted")
    return {"id": state.connections.pop(key).id}


def change_enterprise(state: State, person: Person, enterprise: str, what: str, at: str, *, sdk: bool) -> Answer:
    """Told by a person, as of now."""
    state.require(person, PLATFORM, "decide")
    hear(state, enterprise, what, at, sdk=sdk, actor=person.name, source="registry")
    return {}


def hear(state: State, enterprise: str, what: str, at: str, *, sdk: bool, actor: str, source: str) -> None:
    """What happened last counts, whenever it is heard; of one moment, what is heard later."""
    standing = state.standings[enterprise]
    before = replace(standing)
    if what in ("suspended", "resumed") and at >= standing.told_state:
        standing.suspended, standing.told_state = what == "suspended", at
    if what == "sdk_access_changed" and at >= standing.told_sdk:
        standing.sdk, standing.told_sdk = sdk, at
    if standing != before:
        state.log(PLATFORM, f"enterprise.{what}", enterprise, actor)
    state.tell((PLATFORM, enterprise), what, source, "", noun="enterprise")


def _next(state: State, person: Person, place: Place, content: Content, action: str) -> Answer:
    enterprise, slug = place
    revisions = state.drafts.setdefault(place, [])
    changed = not revisions or revisions[-1].content != content
    if changed:
        revisions.append(Revision(content, person.name))
        state.log(enterprise, action, slug, person.name)
        state.tell(place, "draft_saved", "registry", len(revisions))
    return {"revision": len(revisions), "changed": changed, "owner": enterprise}


def _require_free(state: State, place: Place) -> None:
    if place[0] != PLATFORM and state.of((PLATFORM, place[1])):
        raise RefusedError("already-exists")


def _require_current(state: State, place: Place, base: int) -> None:
    if base != len(state.draft(place)):
        raise RefusedError("conflict")


def _require_document(
    state: State, person: Person, enterprise: str, place: Place, policy: str, states: frozenset[str]
) -> None:
    owner = place[0]
    if owner not in owners(enterprise):
        raise RefusedError("not-found")
    versions = state.of(place)
    if versions and chosen(versions, policy, states) is None:
        raise RefusedError("not-found")
    if not versions:
        if place not in state.drafts or not state.may(person, owner, "author"):
            raise RefusedError("not-found")
        if state.drafts[place][-1].content.broken:
            raise RefusedError("invalid-template")


def _tell_connection(state: State, person: Person, key: tuple[str, str, str], action: str, what: str) -> None:
    enterprise, slug, name = key
    connection = state.connections[key]
    state.log(enterprise, action, f"{slug}.{name}", person.name)
    state.tell((enterprise, connection.id), what, "registry", f"{slug}.{name}", noun="connection")
