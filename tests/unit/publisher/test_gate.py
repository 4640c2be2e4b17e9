"""The gate: each item with its reason, and nothing that is only recommended in the way."""

from __future__ import annotations

from typing import Any

import pytest

from services.publisher.handlers.publishing import show_checklist
from shared.contracts.commands import Checklist, ChecklistItem, ShowChecklist
from shared.contracts.errors import DibopError
from tests.unit.publisher.documents import DROP, api_key, edited
from tests.unit.publisher.fakes import VIEWER, World, caller


async def checklist(world: World, scope: str = "catalogue", enterprise: str = "platform") -> Checklist:
    command = ShowChecklist.model_validate({"slug": "weather", "scope": scope})
    return await show_checklist(caller(enterprise), command, world.ports)


def complete(**edits: Any) -> World:
    """A draft with edits, all of it tested."""
    world = World()
    world.registry.save(edited(api_key(), edits))
    world.all_tested()
    return world


def missing(found: Checklist) -> dict[str, ChecklistItem]:
    return {item.item: item for item in found.items if not item.passed}


async def test_a_complete_and_tested_draft_is_publishable() -> None:
    found = await checklist(complete())

    assert found.publishable
    assert [item.item for item in found.items] == [
        "template",
        "scope",
        "overview.name",
        "overview.slug",
        "overview.type",
        "overview.description",
        "overview.base_url",
        "overview.icon",
        "overview.documentation_url",
        "auth",
        "operations",
        "operations.get_weather.description",
        "operations.create_report.description",
        "operations.get_weather.response_schema",
        "operations.create_report.response_schema",
        "resilience",
        "operations.get_weather.test",
        "operations.create_report.test",
    ]


async def test_what_is_recommended_never_blocks() -> None:
    found = await checklist(complete(**{"/documentation_url": DROP}))

    assert found.publishable
    lacking = missing(found)
    assert set(lacking) == {"overview.icon", "overview.documentation_url"}
    assert not any(item.required for item in lacking.values())
    assert lacking["overview.icon"].reason == "icon is empty; it is recommended."


@pytest.mark.parametrize(
    ("edits", "item", "path"),
    [
        ({"/description": DROP}, "overview.description", "/description"),
        ({"/operations": []}, "operations", "/operations"),
        ({"/operations/1/description": ""}, "operations.create_report.description", "/operations/1/description"),
        (
            {"/operations/1/response_schema": DROP},
            "operations.create_report.response_schema",
            "/operations/1/response_schema",
        ),
    ],
)
async def test_what_is_missing_blocks_and_says_where(edits: dict[str, Any], item: str, path: str) -> None:
    found = await checklist(complete(**edits))

    assert not found.publishable
    lacking = missing(found)[item]
    assert (lacking.required, lacking.path) == (True, path)
    assert lacking.reason


async def test_within_an_enterprise_response_schemas_are_only_recommended() -> None:
    world = World()
    world.registry.save(edited(api_key(), {"/operations/1/response_schema": DROP}), owner="acme")
    world.all_tested(owner="acme")

    found = await checklist(world, "enterprise", "acme")

    assert found.publishable
    assert not missing(found)["operations.create_report.response_schema"].required


async def test_an_operation_counts_as_tested_only_as_it_stands() -> None:
    world = complete()
    world.registry.save(edited(api_key(), {"/operations/0/path": "/v2/{city}"}))

    lacking = missing(await checklist(world))

    assert "operations.get_weather.test" in lacking
    assert "operations.create_report.test" not in lacking
    assert "dibop connector test weather --operation get_weather" in str(lacking["operations.get_weather.test"].reason)


async def test_a_new_base_url_voids_every_test() -> None:
    world = complete()
    world.registry.save(edited(api_key(), {"/base_url": "https://api.example.org"}))

    assert {"operations.get_weather.test", "operations.create_report.test"} <= set(missing(await checklist(world)))


async def test_the_last_test_is_the_one_that_counts() -> None:
    world = complete()
    world.all_tested(outcome="fail", reason="The external system answered 500.")
    assert "answered 500" in str(missing(await checklist(world))["operations.get_weather.test"].reason)

    world.all_tested()
    assert (await checklist(world)).publishable


async def test_a_test_by_another_owner_does_not_count() -> None:
    world = complete()
    world.registry.save(api_key(), owner="acme")

    assert not (await checklist(world, "enterprise", "acme")).publishable


async def test_an_invalid_template_shows_its_problems_alone() -> None:
    world = World()
    world.registry.save(edited(api_key(), {"/auth_type": "magic", "/operations/0/method": "FETCH"}))

    found = await checklist(world)

    assert not found.publishable
    assert {item.item for item in found.items} == {"template"}
    assert {item.path for item in found.items} >= {"/auth_type", "/operations/0/method"}
    assert all(item.reason and item.required for item in found.items)


async def test_what_belongs_to_all_is_not_for_one_enterprise_alone() -> None:
    world = World()
    world.registry.save(api_key())
    world.all_tested()

    lacking = missing(await checklist(world, "enterprise", "platform"))["scope"]

    assert lacking.required
    assert "catalogue" in str(lacking.reason)


async def test_only_authors_see_the_checklist() -> None:
    with pytest.raises(DibopError) as refused:
        await show_checklist(caller("acme", VIEWER), ShowChecklist(slug="weather", scope="enterprise"), World().ports)
    assert refused.value.code == "forbidden"


async def test_of_very_many_items_only_what_is_missing_is_shown_required_first() -> None:
    many = [
        {"operation": f"get_{n}", "description": "x" if n else "", "method": "GET", "path": f"/{n}"}
        for n in range(2500)
    ]
    world = complete(**{"/operations": many})

    found = await checklist(world, "catalogue")

    assert not found.publishable
    assert not any(item.passed for item in found.items)
    assert found.items[0].item == "operations.get_0.description"
    assert found.items[-1].item == "overview.documentation_url" or not found.items[-1].required
