"""What the model of random lives knows: drafts, versions, reviews, connections, and what has to be told of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.support.lifecycle.content import Bump, Content
from tests.support.lifecycle.people import HOME, OTHER, PLATFORM, Person, Standing, Wish, refusal

STATES: Final = ("published", "deprecated", "unpublished", "retired")
"""The best first."""
OFFERED: Final = frozenset(STATES[:2])
USABLE: Final = frozenset(STATES[:3])
Place = tuple[str, str]
"""Owner and slug."""


class RefusedError(Exception):
    """A command must be refused, with one of `codes`."""

    def __init__(self, *codes: str) -> None:
        super().__init__(*codes)
        self.codes = codes


@dataclass(frozen=True)
class Revision:
    content: Content
    saved_by: str


@dataclass
class Version:
    number: tuple[int, int, int]
    content: Content
    state: str = "published"
    successor: str | None = None
    date: str | None = None

    @property
    def name(self) -> str:
        return ".".join(map(str, self.number))


@dataclass
class Connection:
    id: str
    owner: str
    policy: str
    credentials: int = 1


@dataclass
class Review:
    """`id` is the service's; `requested_by` publishes where it is approved."""

    id: str
    place: Place
    revision: int
    content: Content
    saved_by: str
    requested_by: str
    bump: Bump | None
    state: str = "open"
    decided_by: str | None = None
    version: str | None = None

    @property
    def authors(self) -> set[str]:
        return {self.saved_by, self.requested_by}


@dataclass(frozen=True)
class Told:
    """An event: what happened to the `noun` called `name` of `enterprise`, told by `source`; `which` one it is."""

    enterprise: str
    noun: str
    name: str
    what: str
    source: str
    which: str

    @property
    def entity(self) -> tuple[str, str, str, str]:
        return self.enterprise, self.noun, self.name, self.source


@dataclass(frozen=True, order=True)
class Logged:
    """An audit entry."""

    enterprise: str
    action: str
    name: str
    actor: str


@dataclass
class State:
    """All that stands at one moment, with all that was told and logged on the way there."""

    drafts: dict[Place, list[Revision]] = field(default_factory=dict)
    versions: dict[Place, list[Version]] = field(default_factory=dict)
    connections: dict[tuple[str, str, str], Connection] = field(default_factory=dict)
    reviews: list[Review] = field(default_factory=list)
    evidence: dict[tuple[Place, tuple[str, bool]], bool] = field(default_factory=dict)
    standings: dict[str, Standing] = field(default_factory=lambda: {HOME: Standing(), OTHER: Standing()})
    told: list[Told] = field(default_factory=list)
    logged: list[Logged] = field(default_factory=list)

    def require(self, person: Person, enterprise: str, wish: Wish) -> None:
        code = refusal(person, enterprise, wish, self.standings.get(enterprise, Standing()))
        if code is not None:
            raise RefusedError(code)

    def may(self, person: Person, enterprise: str, wish: Wish) -> bool:
        return refusal(person, enterprise, wish, self.standings.get(enterprise, Standing())) is None

    def draft(self, place: Place) -> list[Revision]:
        if place not in self.drafts:
            raise RefusedError("not-found")
        return self.drafts[place]

    def of(self, place: Place) -> list[Version]:
        return self.versions.get(place, [])

    def own(self, place: Place) -> list[Version]:
        """The versions of a connector that its owner has; `not-found` where that is only the catalogue's."""
        self.draft(place)
        return self.of(place)

    def log(self, enterprise: str, action: str, name: str, actor: str) -> None:
        self.logged.append(Logged(enterprise, action, name, actor))

    def tell(self, place: Place, what: str, source: str, which: object, noun: str = "connector") -> None:
        self.told.append(Told(place[0], noun, place[1], what, source, str(which)))


def owners(enterprise: str) -> list[str]:
    return [enterprise] if enterprise == PLATFORM else [enterprise, PLATFORM]


def last(versions: Sequence[Version]) -> Version | None:
    return max(versions, key=lambda each: each.number, default=None)


def latest(versions: Iterable[Version]) -> Version | None:
    """The highest in the best state."""
    return max(versions, key=lambda each: (-STATES.index(each.state), each.number), default=None)


def chosen(versions: Iterable[Version], policy: str, states: frozenset[str]) -> Version | None:
    """What a connection with this policy takes."""
    fits = [each for each in versions if each.name == policy or f"^{each.number[0]}" == policy]
    return latest(each for each in fits if each.state in states)


def named(versions: Iterable[Version], name: str) -> Version:
    found = next((each for each in versions if each.name == name), None)
    if found is None:
        raise RefusedError("not-found")
    return found
