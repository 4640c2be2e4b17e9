"""Publish: who may, what the gate refuses, which version comes of it, and one publication at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.publisher.domain.moves import MoveState
from services.publisher.handlers.publishing import publish
from services.publisher.handlers.saga import MoveRunner
from shared.contracts.commands import PublishConnector, Published
from shared.contracts.errors import DibopError
from tests.unit.publisher.documents import api_key, edited
from tests.unit.publisher.fakes import VIEWER, World, caller

SILENT = DibopError("deadline-exceeded", "No answer from the registry.")


class Publisher:
    """Publishes in a world with a runner of its own."""

    def __init__(self) -> None:
        self.world = World()
        self.world.registry.save(api_key())
        self.world.all_tested()
        self.runner = MoveRunner(self.world.store, self.world.registry, self.world.catalogue, first_wait_seconds=0.001)

    async def publish(
        self,
        scope: str = "catalogue",
        enterprise: str = "platform",
        wait_seconds: float = 10.0,
        bump: str | None = None,
    ) -> Published:
        command = PublishConnector.model_validate({"slug": "weather", "scope": scope, "notes": "First.", "bump": bump})
        return await publish(caller(enterprise), command, self.world.ports, self.runner, wait_seconds=wait_seconds)

    def save(self, **edits: object) -> None:
        """Save an edited draft, all of it tested."""
        self.world.registry.save(edited(api_key(), edits))
        self.world.all_tested()


@pytest.fixture
async def publisher() -> AsyncIterator[Publisher]:
    publisher = Publisher()
    yield publisher
    await publisher.runner.stop()


async def refused(attempt: object) -> DibopError:
    with pytest.raises(DibopError) as caught:
        await attempt  # type: ignore[misc]
    return caught.value


async def test_the_first_version_is_1_0_0_and_stands_in_the_catalogue_when_answered(publisher: Publisher) -> None:
    published = await publisher.publish()

    assert (published.version, published.changed, published.scope) == ("1.0.0", True, "catalogue")
    entry = publisher.world.catalogue.entries["platform.weather"]
    assert [(v.version, v.digest) for v in entry.versions] == [("1.0.0", published.digest)]
    assert published.published_at == entry.versions[0].published_at


async def test_a_publication_is_told_of_once(publisher: Publisher) -> None:
    published = await publisher.publish()

    (event,) = publisher.world.store.told("version_published")
    assert event.subject == "evt.v1.platform.connector.weather.version_published"
    assert event.data["version"] == "1.0.0"
    assert event.data["digest"] == published.digest
    assert event.data["previous_version"] is None
    assert event.data["notes"] == "First."
    (audit,) = publisher.world.store.audit
    assert (audit.entry.action, audit.entry.details["version"]) == ("connector.publish", "1.0.0")


async def test_the_same_document_again_changes_nothing(publisher: Publisher) -> None:
    first = await publisher.publish()

    again = await publisher.publish()

    assert again == first.model_copy(update={"changed": False})
    assert len(publisher.world.store.moves) == 1
    assert len(publisher.world.store.told("version_published")) == 1


@pytest.mark.parametrize(
    ("place", "value", "version"),
    [
        ("/description", "Other words.", "1.0.1"),
        ("/resilience/max_retries", 5, "1.1.0"),
        ("/base_url", "https://api.example.org", "2.0.0"),
    ],
)
async def test_the_next_version_follows_from_what_changed(
    publisher: Publisher, place: str, value: object, version: str
) -> None:
    await publisher.publish()
    publisher.save(**{place: value})

    published = await publisher.publish()

    assert (published.version, published.changed) == (version, True)
    assert [v.version for v in publisher.world.catalogue.entries["platform.weather"].versions] == ["1.0.0", version]


async def test_going_back_to_an_earlier_document_is_a_version_of_its_own(publisher: Publisher) -> None:
    first = await publisher.publish()
    publisher.save(**{"/description": "Other words."})
    await publisher.publish()
    publisher.save()

    back = await publisher.publish()

    assert (back.version, back.digest, back.changed) == ("1.0.2", first.digest, True)


async def test_what_the_gate_lacks_is_refused_item_by_item(publisher: Publisher) -> None:
    publisher.world.registry.save(edited(api_key(), {"/base_url": "https://api.example.org", "/description": ""}))

    error = await refused(publisher.publish())

    assert error.code == "not-publishable"
    assert [item["item"] for item in error.errors] == [
        "overview.description",
        "operations.get_weather.test",
        "operations.create_report.test",
    ]
    assert "description is empty; fill it in. And 2 more" in error.detail
    assert publisher.world.store.moves == {}


async def test_only_authors_publish() -> None:
    command = PublishConnector(slug="weather", scope="enterprise")
    world = World()
    runner = MoveRunner(world.store, world.registry, world.catalogue)

    error = await refused(publish(caller("acme", VIEWER), command, world.ports, runner, wait_seconds=1))

    assert error.code == "forbidden"


async def test_a_role_in_one_enterprise_does_not_publish_in_another(publisher: Publisher) -> None:
    assert (await refused(publisher.publish("enterprise", "globex"))).code == "forbidden"


async def test_a_scope_that_does_not_fit_the_owner_is_refused(publisher: Publisher) -> None:
    error = await refused(publisher.publish("enterprise", "platform"))

    assert error.code == "not-publishable"
    assert "Publish it with scope" in error.detail


async def test_an_enterprise_publishes_for_itself_beside_the_catalogues_connector(publisher: Publisher) -> None:
    await publisher.publish()
    publisher.world.registry.save(api_key(), owner="acme")
    publisher.world.all_tested(owner="acme")

    published = await publisher.publish("enterprise", "acme")

    assert (published.owner, published.version) == ("acme", "1.0.0")
    assert set(publisher.world.catalogue.entries) == {"platform.weather", "acme.weather"}


async def test_many_commands_at_once_make_one_version(publisher: Publisher) -> None:
    answers = await asyncio.gather(*(publisher.publish() for _ in range(8)))

    assert {answer.version for answer in answers} == {"1.0.0"}
    assert [answer.changed for answer in answers].count(True) == 1
    assert len(publisher.world.registry.versions["platform", "weather"]) == 1
    assert len(publisher.world.store.told("version_published")) == 1


async def test_another_document_is_refused_while_one_is_being_published(publisher: Publisher) -> None:
    publisher.world.registry.failures = [SILENT] * 1000
    await refused(publisher.publish(wait_seconds=0.01))
    publisher.save(**{"/description": "Other words."})

    error = await refused(publisher.publish())

    assert error.code == "conflict"
    assert "1.0.0" in error.detail


async def test_a_publication_that_takes_long_goes_on_by_itself(publisher: Publisher) -> None:
    publisher.world.registry.failures = [SILENT] * 1000
    error = await refused(publisher.publish(wait_seconds=0.05))
    assert error.code == "deadline-exceeded"
    assert "No answer from the registry" in error.detail
    assert "repeat the command" in error.detail

    publisher.world.registry.failures.clear()
    again = await publisher.publish()

    assert (again.version, again.changed) == ("1.0.0", False)
    assert len(publisher.world.store.told("version_published")) == 1


async def test_a_refusal_by_the_registry_fails_the_publication_and_frees_the_slug(publisher: Publisher) -> None:
    publisher.world.registry.failures = [DibopError("conflict", "Revision 1 has another digest.")]

    error = await refused(publisher.publish())

    assert error.code == "conflict"
    assert "Revision 1 has another digest." in error.detail
    (failed,) = publisher.world.store.moves.values()
    assert failed.state is MoveState.FAILED
    assert publisher.world.store.told("version_published") == []
    assert (await publisher.publish()).version == "1.0.0"


@pytest.mark.parametrize(
    ("asked", "version"), [(None, "1.1.0"), ("minor", "1.1.0"), ("major", "2.0.0"), ("patch", "not-publishable")]
)
async def test_a_bump_may_be_larger_than_what_changed_and_never_smaller(
    publisher: Publisher, asked: str | None, version: str
) -> None:
    await publisher.publish()
    publisher.save(**{"/resilience/max_retries": 5, "/name": "World weather"})

    try:
        made = (await publisher.publish(bump=asked)).version
    except DibopError as error:
        made = error.code

    assert made == version


async def test_a_bump_that_is_too_small_is_refused_with_each_change_that_needs_more(publisher: Publisher) -> None:
    await publisher.publish()
    publisher.save(**{"/resilience/max_retries": 5, "/base_url": "https://api.example.org", "/name": "World weather"})

    error = await refused(publisher.publish(bump="patch"))

    assert "needs a major version, and a patch one was asked for" in error.detail
    assert [(entry["item"], entry["reason"].partition(" ")[0]) for entry in error.errors] == [
        ("version", "base_url"),
        ("version", "Resilience"),
    ]
    assert len(publisher.world.store.moves) == 1


async def test_the_first_version_is_1_0_0_whatever_bump_is_asked_for(publisher: Publisher) -> None:
    assert (await publisher.publish(bump="patch")).version == "1.0.0"
