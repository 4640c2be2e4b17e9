"""Random lives as Hypothesis plays them: each rule is a command by somebody."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from shared.contracts.clock import utc_now
from shared.contracts.events import Event
from shared.security.sealing import KeyRing
from tests.support.connectors import connection
from tests.support.lifecycle import drafting, moving
from tests.support.lifecycle.content import BUMPS, OPERATIONS, Content
from tests.support.lifecycle.history import History, Who
from tests.support.lifecycle.people import ADA, BOB, EVE, HOME, KIM, OTHER, PAM, PAT, PEOPLE, PLATFORM
from tests.support.stand_in_executor import answered

SLUGS: Final = ("crm", "erp")
NAMES: Final = ("default", "sandbox")
DATE: Final = "2031-01-31"
LONG_AGO: Final = "2020-01-01T00:00:00.000Z"
ENTERPRISES: Final = (HOME, OTHER, PLATFORM)
RING: Final = KeyRing.generate()

authors = st.sampled_from([(ADA, HOME)] * 4 + [(BOB, HOME)] * 2 + [(PAT, PLATFORM)] * 4 + [(EVE, OTHER)] * 2)
anybody = st.tuples(st.sampled_from(PEOPLE), st.sampled_from(ENTERPRISES))
someone = st.one_of(authors, authors, authors, anybody)
"""Mostly who may, where they may."""
connecting = st.one_of(st.sampled_from([(ADA, HOME), (KIM, HOME), (EVE, OTHER)]), anybody)
deciding = st.one_of(st.sampled_from([(PAT, PLATFORM), (PAM, PLATFORM)] * 3), anybody)
slugs = st.sampled_from(SLUGS)
bumps = st.sampled_from([None, None, None, 0, 1, 2])
backs = st.sampled_from([0, 0, 0, 0, 1, -1])
"""How many revisions behind the current one somebody starts from; -1 is one that is not there."""
operations = st.sampled_from([("now",), ("later", "now"), OPERATIONS, ("tomorrow",)])
contents = st.builds(
    Content,
    words=st.integers(0, 3),
    operations=operations,
    bare=st.sampled_from([False, False, False, True]),
    broken=st.sampled_from([False] * 5 + [True]),
)


class Lives(History):
    """Everything that may be commanded."""

    @initialize(platform=contents, home=contents, begun=st.sampled_from([True, True, True, False]))
    def begin(self, platform: Content, home: Content, begun: bool) -> None:
        """Mostly something is there to begin with."""
        if begun:
            self.release((PAT, PLATFORM), "crm", replace(platform, broken=False, bare=False), "catalogue")
            self.release((ADA, HOME), "erp", replace(home, broken=False), "enterprise")
            self.connect((KIM, HOME), "crm", PLATFORM, "default", "^1")

    # Drafts

    @rule(who=someone, slug=slugs, content=contents, back=backs)
    def save(self, who: Who, slug: str, content: Content, back: int) -> None:
        place = (who[1], slug)
        base = self._base(place, back)
        body = {"document": content.document(self._names.real(slug)), "base_revision": base}
        self._do(who, slug, "registry.draft.save", body, drafting.save, place, content, base)

    @rule(who=someone, slug=slugs, words=st.integers(0, 3), back=backs, rename=st.booleans())
    def patch(self, who: Who, slug: str, words: int, back: int, rename: bool) -> None:
        place = (who[1], slug)
        base = self._base(place, back) or 1
        changed: dict[str, Any] = {"words": words} | ({"name": f"Weather {words}"} if rename else {})
        patch = {"description": replace(Content(), words=words).description}
        patch |= {"name": f"Weather {words}"} if rename else {}
        self._do(
            who,
            slug,
            "registry.draft.patch",
            {"patch": patch, "base_revision": base},
            drafting.patch,
            place,
            base,
            changed,
        )

    @rule(who=someone, slug=slugs, revision=st.integers(1, 4), back=backs)
    def restore(self, who: Who, slug: str, revision: int, back: int) -> None:
        place = (who[1], slug)
        base = self._base(place, back) or 1
        body = {"revision": revision, "base_revision": base}
        self._do(who, slug, "registry.draft.restore", body, drafting.restore, place, revision, base)

    @rule(who=someone, slug=slugs, back=backs)
    def discard(self, who: Who, slug: str, back: int) -> None:
        place = (who[1], slug)
        base = self._base(place, back) or 1
        self._do(who, slug, "registry.draft.discard", {"base_revision": base}, drafting.discard, place, base)

    @rule(who=someone, slug=slugs, new_slug=slugs)
    def duplicate(self, who: Who, slug: str, new_slug: str) -> None:
        place = (who[1], slug)
        body = {"new_slug": self._names.real(new_slug), "name": "Copy"}
        self._do(who, slug, "registry.connector.duplicate", body, drafting.duplicate, place, new_slug, "Copy")

    @rule(who=someone, slug=slugs, back=backs)
    def delete(self, who: Who, slug: str, back: int) -> None:
        place = (who[1], slug)
        base = self._base(place, back) or 1
        self._do(who, slug, "registry.connector.delete", {"base_revision": base}, drafting.delete, place, base)

    @rule(who=anybody, slug=slugs)
    def look(self, who: Who, slug: str) -> None:
        self._do(who, slug, "registry.draft.get", {}, drafting.look, (who[1], slug))

    # Moves

    @rule(who=someone, slug=slugs, failing=st.sets(st.sampled_from(OPERATIONS), max_size=1))
    def test(self, who: Who, slug: str, failing: set[str]) -> None:
        self._world.executor.answers = {
            each: answered(operation=each, status_code=500 if each in failing else 200) for each in OPERATIONS
        }
        body = {"parameters": {each: {"q": "x"} for each in self._drafted((who[1], slug))}}
        started = self._do(who, slug, "publisher.test.start", body, moving.test, (who[1], slug), failing)
        if started is not None:
            self._run(
                self._world.ended_test(
                    who[0], self._names.real(who[0].home), self._names.real(who[1]), started["run_id"]
                )
            )

    @rule(who=someone, slug=slugs, scope=st.sampled_from(["catalogue", "enterprise"]), bump=bumps)
    def publish(self, who: Who, slug: str, scope: str, bump: int | None) -> None:
        place = (who[1], slug)
        body = {"scope": scope, "bump": bump if bump is None else BUMPS[bump]}
        reviews = self._world.reviews_platform
        answer = self._do(
            who,
            slug,
            "publisher.connector.publish",
            body,
            moving.publish,
            place,
            scope,
            bump,
            reviews_platform=reviews,
        )
        if answer is not None and answer["review"] and answer["changed"]:
            self._state.reviews[-1].id = answer["review"]

    @rule(who=authors, slug=slugs, content=contents, scope=st.sampled_from(["catalogue", "enterprise"]))
    def release(self, who: Who, slug: str, content: Content, scope: str) -> None:
        """The way that mostly leads to a version."""
        self.save(who, slug, content, 0)
        self.test(who, slug, set())
        self.publish(who, slug, "catalogue" if who[1] == PLATFORM else scope, None)

    @rule(who=someone, slug=slugs, which=st.integers(0, 5), bump=bumps)
    def roll_back(self, who: Who, slug: str, which: int, bump: int | None) -> None:
        place = (who[1], slug)
        version = self._version(place, which)
        body = {"version": version, "bump": bump if bump is None else BUMPS[bump]}
        self._do(who, slug, "publisher.connector.rollback", body, moving.roll_back, place, version, bump)

    @rule(
        who=someone,
        slug=slugs,
        wanted=st.sampled_from(list(moving.LEADS)),
        which=st.one_of(st.none(), st.integers(0, 5)),
        successor=st.sampled_from([None, None, *SLUGS, 0, 1]),
        date=st.sampled_from([None, DATE]),
    )
    def withdraw(
        self, who: Who, slug: str, wanted: str, which: int | None, successor: str | int | None, date: str | None
    ) -> None:
        place = (who[1], slug)
        version = None if which is None else self._version(place, which)
        body: dict[str, Any] = {"version": version}
        named = self._version(place, successor) if isinstance(successor, int) else successor
        if wanted != "deprecated":
            named = date = None
        else:
            body |= {"successor": named and (named if named[0].isdigit() else self._names.real(named)), "date": date}
        self._do(
            who,
            slug,
            f"publisher.connector.{moving.VERBS[wanted]}",
            body,
            moving.withdraw,
            place,
            wanted,
            version,
            named,
            date,
        )

    # Reviews

    @precondition(lambda self: self._state.reviews)
    @rule(who=deciding, which=st.integers(0, 5), bump=bumps)
    def approve(self, who: Who, which: int, bump: int | None) -> None:
        review = self._review(which)
        body = {"id": review.id, "bump": bump if bump is None else BUMPS[bump]}
        self._do(who, None, "publisher.review.approve", body, moving.approve, who[1], review, bump)

    @precondition(lambda self: self._state.reviews)
    @rule(who=deciding, which=st.integers(0, 5))
    def reject(self, who: Who, which: int) -> None:
        review = self._review(which)
        self._do(
            who, None, "publisher.review.reject", {"id": review.id, "comment": "No."}, moving.reject, who[1], review
        )

    @precondition(lambda self: self._state.reviews)
    @rule(who=someone, which=st.integers(0, 5))
    def comment(self, who: Who, which: int) -> None:
        review = self._review(which)
        self._do(
            who, None, "publisher.review.comment", {"id": review.id, "text": "Why?"}, moving.comment, who[1], review
        )

    # Connections

    @rule(
        who=connecting,
        slug=slugs,
        owner=st.sampled_from([HOME, PLATFORM, PLATFORM, OTHER]),
        name=st.sampled_from(NAMES),
        policy=st.sampled_from(["^1", "^1", "^2", "1.0.0"]),
    )
    def connect(self, who: Who, slug: str, owner: str, name: str, policy: str) -> None:
        place = (who[1], slug)
        real = self._names.real
        body = connection(
            real(who[1]), real(owner), connector=real(slug), ring=RING, name=name, version_policy=policy
        ).model_dump()
        self._do(
            who, None, "registry.connection.create", body, drafting.connect, place, owner, name, policy, body["id"]
        )

    @rule(who=connecting, slug=slugs, name=st.sampled_from(NAMES), stale=st.sampled_from([False, False, True]))
    def rotate(self, who: Who, slug: str, name: str, stale: bool) -> None:
        place = (who[1], slug)
        present = self._state.connections.get((*place, name))
        identifier = present.id if present and not stale else str(uuid.uuid4())
        real = self._names.real
        made = connection(
            real(who[1]), real(who[1]), connector=real(slug), ring=RING, name=name, secret="another secret"
        )
        body = made.model_dump(exclude={"owner", "version_policy"}) | {"id": identifier}
        self._do(who, None, "registry.connection.rotate", body, drafting.rotate, place, name, identifier)

    @rule(who=connecting, slug=slugs, name=st.sampled_from(NAMES))
    def disconnect(self, who: Who, slug: str, name: str) -> None:
        body = {"connector": self._names.real(slug), "name": name}
        self._do(who, None, "registry.connection.delete", body, drafting.disconnect, (who[1], slug), name)

    # Enterprises

    @rule(
        who=deciding,
        enterprise=st.sampled_from([HOME, HOME, OTHER]),
        what=st.sampled_from(["suspended", "resumed", "resumed", "sdk_access_changed", "sdk_access_changed"]),
        sdk=st.sampled_from([True, True, False]),
        heard=st.sampled_from(["command", "event", "late"]),
    )
    def tell_of(self, who: Who, enterprise: str, what: str, sdk: bool, heard: str) -> None:
        """By a person, or by another service, whose event may be of long ago."""
        real = self._names.real(enterprise)
        if heard == "command":
            body = {"id": real, "what": what, **({"sdk_access": sdk} if what == "sdk_access_changed" else {})}
            person = (who[0], PLATFORM)
            now = utc_now()
            self._do(
                person,
                None,
                "registry.enterprise.change",
                body,
                drafting.change_enterprise,
                enterprise,
                what,
                now,
                sdk=sdk,
            )
        else:
            at = LONG_AGO if heard == "late" else utc_now()
            data = {"sdk_access": sdk} if what == "sdk_access_changed" else {}
            event = Event(PLATFORM, "enterprise", real, what, "elsewhere", data, time=at)
            drafting.hear(self._state, enterprise, what, at, sdk=sdk, actor="elsewhere", source="elsewhere")
            self._run(self._publish(event))
        self._run(self._stands(enterprise))
