"""Registry and publisher are killed at random while several people command them: nothing is lost, doubled or at odds.

`DIBOP_KILLS` says how often; a long run asks for 200.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import pytest
from nats.js import JetStreamContext
from pydantic import BaseModel

from shared.contracts import commands, subjects
from shared.contracts.errors import DibopError
from shared.contracts.events import Event
from shared.contracts.projections import CatalogueEntry
from shared.messaging.client import command
from tests.integration.publisher.conftest import Author
from tests.support.connectors import document
from tests.support.mortal import ForkedService
from tests.support.polling import eventually
from tests.support.stand_in_executor import StandInExecutor
from tests.support.streams import stored_events
from tests.support.tokens import Tokens

M = TypeVar("M", bound=BaseModel)

KILLS: Final = int(os.environ.get("DIBOP_KILLS", "10"))
SLUGS: Final = ("mail", "maps", "weather")
LOST_SECONDS: Final = 2.0
"""After that a request is taken for lost, and repeated."""
LONGEST_LIFE_SECONDS: Final = 0.5

Fork = Callable[[str], ForkedService]


@pytest.fixture
def fork(
    nats_url: str, js: JetStreamContext, database_url: str, tokens: Tokens, service_token_file: Path, tmp_path: Path
) -> Iterator[Fork]:
    """Starts `registry` or `publisher`, each over its database."""
    forked: list[ForkedService] = []
    databases = {"publisher": database_url, "registry": f"sqlite+aiosqlite:///{tmp_path / 'registry.db'}"}

    def start(service: str) -> ForkedService:
        environment = {
            "DIBOP_NATS_URL": nats_url,
            "DIBOP_DATABASE_URL": databases[service],
            "DIBOP_TOKEN_KEY_FILE": str(tokens.key_file),
            "DIBOP_SERVICE_TOKEN_FILE": str(service_token_file),
        }
        forked.append(ForkedService(service, environment, log=tmp_path / f"{len(forked)}-{service}.log"))
        forked[-1].start()
        return forked[-1]

    yield start
    for service in forked:
        service.kill()


class Impatient:
    """An author who repeats what is not answered soon, and in the end publishes once more."""

    def __init__(self, author: Author, slug: str, chance: random.Random) -> None:
        self._author = author
        self._slug = slug
        self._chance = chance

    async def work(self, over: asyncio.Event) -> None:
        while not over.is_set():
            try:
                await self._chance.choice((self._publish, self._publish, self._withdraw, self._roll_back))()
            except DibopError:
                continue  # lost, or at odds with what an earlier try has done: the next one looks anew
        await eventually(self._publishes, timeout=60)

    async def _publishes(self) -> bool:
        try:
            await self._publish()
        except DibopError:
            return False
        return True

    async def _publish(self) -> None:
        try:
            base = (await self._ask("registry", "draft.get", {}, commands.Draft)).revision
        except DibopError as error:
            if error.code != "not-found":
                raise
            base = None
        made = document(self._slug, description=f"Told {self._chance.random()}.")
        await self._ask("registry", "draft.save", {"document": made, "base_revision": base}, commands.DraftSaved)
        samples = {"now": {"q": "x"}, "tomorrow": {"q": "x"}}
        started = await self._ask("publisher", "test.start", {"parameters": samples}, commands.TestStarted)
        await eventually(lambda: self._ended(started.run_id), timeout=60)
        await self._ask("publisher", "connector.publish", {"scope": "catalogue"}, commands.Published)

    async def _ended(self, run_id: str) -> bool:
        return (await self._send("publisher", "test.show", {"run_id": run_id}, commands.TestRun)).state != "running"

    async def _withdraw(self) -> None:
        version = await self._some_version()
        await self._ask("publisher", "connector.unpublish", {"version": version}, commands.Moved)

    async def _roll_back(self) -> None:
        version = await self._some_version()
        await self._ask("publisher", "connector.rollback", {"version": version}, commands.Published)

    async def _some_version(self) -> str:
        shown = await self._ask("registry", "connector.show", {}, commands.Connector)
        if not shown.versions:
            raise DibopError("not-found", "Nothing is published yet.")
        return self._chance.choice(shown.versions).version

    async def _ask(self, plane: str, what: str, body: dict[str, Any], answer: type[M]) -> M:
        return await self._send(plane, what, {"slug": self._slug, **body}, answer)

    async def _send(self, plane: str, what: str, body: dict[str, Any], answer: type[M]) -> M:
        subject, token = f"{plane}.v1.platform.{what}", self._author.token
        return await command(self._author.nc, subject, body, answer, token=token, timeout=LOST_SECONDS)


@pytest.mark.timeout(60 + 10 * KILLS)
async def test_killed_at_random_nothing_is_lost_doubled_or_at_odds(
    fork: Fork, executor: StandInExecutor, platform: Author, js: JetStreamContext
) -> None:
    chance = random.Random(KILLS)
    running = {name: await asyncio.to_thread(fork, name) for name in ("registry", "publisher")}
    over = asyncio.Event()
    working = [
        asyncio.create_task(Impatient(platform, slug, random.Random(chance.random())).work(over)) for slug in SLUGS
    ]
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0, LONGEST_LIFE_SECONDS))
        victim = chance.choice(sorted(running))
        running[victim].kill()
        running[victim] = await asyncio.to_thread(fork, victim)
    over.set()
    await asyncio.gather(*working)

    published = 0
    for slug in SLUGS:
        published += await eventually(lambda slug=slug: at_rest(platform, js, slug), timeout=40)  # type: ignore[misc]
    assert published >= len(SLUGS)
    told = await stored_events(js)
    assert len({event.id for event in told}) == len(told)


async def at_rest(platform: Author, js: JetStreamContext, slug: str) -> int:
    """How many versions the connector has, once database, catalogue, events and audit say the same."""
    connector = await platform.ask("registry", "connector.show", {"slug": slug}, commands.Connector)
    versions = sorted(connector.versions, key=lambda each: [int(part) for part in each.version.split(".")])
    states = {each.version: each.state for each in versions}
    kv = await js.key_value(subjects.CATALOGUE_BUCKET)
    entry = msgspec.json.decode((await kv.get(f"platform.{slug}")).value or b"", type=CatalogueEntry)
    assert {each.version: each.state for each in entry.versions} == states
    events = [event for event in await stored_events(js) if event.identifier == slug]
    assert named(events, "version_published") == list(states)
    assert sorted(named(events, "unpublished")) == sorted(
        name for name, state in states.items() if state != "published"
    )
    query = {"noun": "connector", "identifier": slug, "limit": 1000}
    audited = [entry.action for entry in await platform.audit(**query)]
    assert sum(action in {"connector.publish", "connector.rollback"} for action in audited) == len(states)
    assert audited.count("version.add") == len(states)
    return len(states)


def named(events: list[Event], what: str) -> list[str]:
    return [event.data["version"] for event in events if event.what == what]
