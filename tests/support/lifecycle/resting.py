"""What must hold once nothing is under way: services, projections, events and audit log say what the model says."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any, Final

from shared.contracts import subjects
from shared.contracts.errors import DibopError
from shared.contracts.events import Event
from shared.security.principals import Role
from tests.support.lifecycle.content import Content
from tests.support.lifecycle.names import Names
from tests.support.lifecycle.people import PAT, PLATFORM, Person
from tests.support.lifecycle.state import Logged, State
from tests.support.lifecycle.world import Answer, World

PUBLISHER: Final = Person("publisher", PLATFORM, Role.PUBLISHER)
"""Reads every draft, however the enterprise stands."""

_PROGRESS: Final = frozenset({"test_progressed"})
"""What is told as it goes, and may be missed."""
_REPEATED: Final = _PROGRESS | {"test_completed"}
"""And what is told of each time that it is done again."""


async def check(world: World, state: State, names: Names, *, sure: bool = True) -> None:
    """AssertionError for whatever is otherwise than foretold.

    Where it is not `sure` how often a command came, tests and failed moves may have been repeated.
    """
    await world.at_rest()
    await _check_drafts(world, state, names)
    await _check_versions(world, state, names)
    await _check_connections(world, state, names)
    await _check_enterprises(world, state, names)
    _check_events(world, state, names, sure=sure)
    await _check_log(world, state, names, sure=sure)


async def nothing_drifts(world: World) -> None:
    """The service's own oracle, over all histories."""
    for part in ("templates", "catalogue", "connections", "enterprises"):
        after: str | None = None
        while True:
            query = {"part": part, "after": after, "limit": 200}
            page = await _asked(world, PAT, PLATFORM, "registry.v1.platform.projection.check", query)
            assert page["differences"] == []
            after = page["next_after"]
            if after is None:
                break


async def _check_drafts(world: World, state: State, names: Names) -> None:
    for place, revisions in state.drafts.items():
        owner, slug = map(names.real, place)
        subject = f"registry.v1.{owner}.draft.get"
        for number, revision in enumerate(revisions, start=1):
            found = await _asked(world, PUBLISHER, PLATFORM, subject, {"slug": slug, "revision": number})
            assert _draft(found) == _content(revision.content, slug) | {"saved_by": revision.saved_by}
        current = await _asked(world, PUBLISHER, PLATFORM, subject, {"slug": slug})
        assert current["revision"] == len(revisions)


async def _check_versions(world: World, state: State, names: Names) -> None:
    for place, versions in state.versions.items():
        owner, slug = map(names.real, place)
        numbers = [version.number for version in versions]
        assert numbers == sorted(set(numbers))
        entry = await world.entry(subjects.CATALOGUE_BUCKET, subjects.catalogue_key(owner, slug))
        assert entry is not None
        assert [(each["version"], each["digest"], each["state"]) for each in entry["versions"]] == [
            (each.name, each.content.digest(slug), each.state) for each in versions
        ]
        for version in versions:
            query = {"slug": slug, "version": version.name}
            found = await _asked(world, PAT, PLATFORM, f"registry.v1.{owner}.version.get", query)
            assert (found["owner"], found["state"]) == (owner, version.state)
            assert _draft(found) == _content(version.content, slug)
        shown = await _asked(world, PAT, PLATFORM, f"registry.v1.{owner}.connector.show", {"slug": slug})
        assert [(each["version"], each["deprecation"]) for each in shown["versions"]] == [
            (each.name, _deprecation(each.successor, each.date, names) if each.state == "deprecated" else None)
            for each in versions
        ]


async def _check_connections(world: World, state: State, names: Names) -> None:
    there = {}
    for (enterprise, slug, name), connection in state.connections.items():
        key = subjects.connection_key(names.real(enterprise), names.real(slug), name)
        there[key] = (connection.id, names.real(connection.owner), connection.policy)
        entry = await world.entry(subjects.CONNECTIONS_BUCKET, key)
        assert entry is not None, key
        assert (entry["id"], entry["owner"], entry["version_policy"]) == there[key]
        assert entry["credentials"] == connection.credentials
    found = [key for key in await world.keys(subjects.CONNECTIONS_BUCKET) if names.has(key)]
    assert sorted(found) == sorted(there)


async def _check_enterprises(world: World, state: State, names: Names) -> None:
    for enterprise, standing in state.standings.items():
        entry = await world.entry(subjects.ENTERPRISES_BUCKET, names.real(enterprise))
        stands = (entry["suspended"], entry["sdk_access"]) if entry else (False, True)
        assert stands == (standing.suspended, standing.sdk)


def _check_events(world: World, state: State, names: Names, *, sure: bool) -> None:
    """Each once, and those of one thing by one service in the order in which they happened."""
    identifiers = {told.name for told in state.told if told.noun == "connection"}
    wanted: dict[tuple[str, str, str, str], list[tuple[str, str]]] = defaultdict(list)
    left_out = _PROGRESS if sure else _REPEATED
    for told in state.told:
        if told.what in left_out:
            continue
        identifier = told.name if told.noun == "connection" else names.real(told.name)
        wanted[names.real(told.enterprise), told.noun, identifier, told.source].append((told.what, told.which))
    found: dict[tuple[str, str, str, str], list[tuple[str, str]]] = defaultdict(list)
    for event in world.events:
        if event.what in left_out:
            continue
        if names.has(event.identifier) or event.identifier in identifiers:
            found[event.enterprise, event.noun, event.identifier, event.source].append(
                (event.what, _which(event, names))
            )
    assert found == wanted, {
        each: (found[each], wanted[each]) for each in {**found, **wanted} if found[each] != wanted[each]
    }
    ids = [event.id for event in world.events]
    assert len(ids) == len(set(ids))


def _which(event: Event, names: Names) -> str:
    data = event.data
    match event.noun, event.what:
        case "connector", "draft_saved" | "review_requested" | "test_completed" | "deleted":
            return str(data["revision"])
        case "connector", "review_decided":
            return str(data["decision"])
        case "connector", _:
            return str(data["version"])
        case "connection", _:
            return f"{data['connector'].removesuffix(str(names.number))}.{data['name']}"
    return ""


async def _check_log(world: World, state: State, names: Names, *, sure: bool) -> None:
    wanted = Counter(
        Logged(names.real(each.enterprise), each.action, names.connection(each.name), each.actor)
        for each in state.logged
    )
    found = Counter(each for each in await world.logged() if names.has(each.name))
    if not sure:
        wanted, found = (
            Counter(
                {each: count for each, count in entries.items() if not each.action.endswith(("-failed", "test.run"))}
            )
            for entries in (wanted, found)
        )
    assert found == wanted, (found - wanted, wanted - found)


async def _asked(world: World, person: Person, home: str, subject: str, body: dict[str, Any]) -> Answer:
    answer = await world.ask(person, home, subject, body)
    assert not isinstance(answer, DibopError), answer
    return answer


def _draft(found: Answer) -> dict[str, Any]:
    return {name: found[name] for name in ("document", "digest", "saved_by") if name in found}


def _content(content: Content, slug: str) -> dict[str, Any]:
    return {"document": content.document(slug), "digest": content.digest(slug)}


def _deprecation(successor: str | None, date: str | None, names: Names) -> dict[str, Any]:
    if successor is not None and not successor[0].isdigit():
        successor = names.real(successor)
    return {"successor": successor, "date": date}
