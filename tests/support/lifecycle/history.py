"""A history in the making: one command after the other is given, and its outcome is held against the model's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from hypothesis.stateful import RuleBasedStateMachine

from shared.contracts.errors import DibopError
from shared.contracts.events import Event
from shared.messaging.client import request
from tests.support.lifecycle import resting
from tests.support.lifecycle.names import Names
from tests.support.lifecycle.people import ADA, EVE, HOME, Person, refusal
from tests.support.lifecycle.state import Place, RefusedError, Review, State
from tests.support.lifecycle.world import Answer, World
from tests.support.polling import eventually

T = TypeVar("T")
Who = tuple[Person, str]
"""A person, and the enterprise that is commanded."""


class History(RuleBasedStateMachine):
    """One history has its own enterprises and slugs, on services that it shares with others."""

    def __init__(self, runner: asyncio.Runner, world: World) -> None:
        super().__init__()
        self._runner, self._world = runner, world
        world.numbers += 1
        self._names = Names(world.numbers)
        self._state = State()

    def teardown(self) -> None:
        self._run(resting.check(self._world, self._state, self._names))

    def _do(
        self,
        who: Who,
        slug: str | None,
        what: str,
        body: Mapping[str, Any],
        foretell: Callable[..., Answer],
        *args: Any,
        **named: Any,
    ) -> Answer | None:
        """Give the command; AssertionError where it is not answered, or refused, as foretold. None where refused."""
        person, enterprise = who
        plane, _, command = what.partition(".")
        subject = f"{plane}.v1.{self._names.real(enterprise)}.{command}"
        sent = dict(body) if slug is None else {"slug": self._names.real(slug), **body}
        answer = self._run(self._world.ask(person, self._names.real(person.home), subject, sent))
        what_happened = f"{person.name} with {subject} {sent}: {answer}"
        codes: tuple[str, ...] = ()
        try:
            foretold = foretell(self._state, person, *args, **named)
        except RefusedError as refused:
            codes, foretold = refused.codes, {}
        if codes:
            assert isinstance(answer, DibopError), f"{codes} was foretold to {what_happened}"
            assert answer.code in codes, f"{codes} was foretold to {what_happened}"
            self._world.refused[what] += 1
            return None
        self._world.allowed[what] += 1
        assert not isinstance(answer, DibopError), f"no refusal was foretold to {what_happened}"
        for name, value in foretold.items():
            self._check(answer, name, value)
        return answer

    def _check(self, answer: Answer, name: str, value: Any) -> None:
        if isinstance(value, dict):
            for inner, each in value.items():
                self._check(answer[name], inner, each)
        else:
            wanted = self._names.real(value) if name == "owner" else value
            assert answer[name] == wanted, f"{name}: {answer[name]!r} instead of {wanted!r} in {answer}"

    def _base(self, place: Place, back: int) -> int | None:
        """The revision that is `back` behind the current one; none where there is no draft."""
        revisions = self._state.drafts.get(place)
        return max(1, len(revisions) - back) if revisions else None

    def _version(self, place: Place, which: int) -> str:
        """One of the versions, the last first; of what has none, the first that it may get."""
        versions = self._state.of(place)
        return versions[-1 - which % len(versions)].name if versions else "1.0.0"

    def _review(self, which: int) -> Review:
        """One of the reviews, the last first."""
        return self._state.reviews[-1 - which % len(self._state.reviews)]

    def _drafted(self, place: Place) -> tuple[str, ...]:
        """The operations of a draft."""
        revisions = self._state.drafts.get(place)
        return revisions[-1].content.operations if revisions else ()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    async def _publish(self, event: Event) -> None:
        await self._world.nc.jetstream().publish(event.subject, event.body(), headers=event.headers())

    async def _stands(self, enterprise: str) -> None:
        """Return once both services know how the enterprise stands."""
        await eventually(self._world.has_heard)
        author = ADA if enterprise == HOME else EVE
        real = self._names.real(enterprise)
        code = refusal(author, enterprise, "author", self._state.standings[enterprise])
        token = self._world.token(author, real)

        async def known(subject: str, body: Mapping[str, Any], otherwise: str | None) -> bool:
            try:
                await request(self._world.nc, f"{subject}", body, token=token, timeout=20)
            except DibopError as error:
                return error.code == (code or otherwise)
            return code is None and otherwise is None

        discard = {"slug": "nothing", "base_revision": 1}
        await eventually(lambda: known(f"registry.v1.{real}.draft.discard", discard, "not-found"))
        await eventually(lambda: known(f"publisher.v1.{real}.review.list", {}, None))
