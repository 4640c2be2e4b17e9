"""Comparing: which documents are compared, what the answer tells, and who may ask."""

from __future__ import annotations

from typing import Any

import pytest

from services.publisher.domain.comparison import MAX_CHANGES_BYTES, MAX_VALUE_BYTES
from services.publisher.handlers.comparing import diff
from shared.contracts.commands import DiffConnector, Difference, Version
from shared.contracts.errors import DibopError
from shared.contracts.template import document_digest
from tests.unit.publisher.documents import DROP, Document, api_key, edited
from tests.unit.publisher.fakes import AT, VIEWER, World, caller


def world(*versions: Document, draft: Document | None = None, owner: str = "platform") -> World:
    """A world with these versions, 1.0.0 and on, and a draft."""
    made = World()
    made.registry.save(draft or versions[-1], owner)
    made.registry.versions[owner, "weather"] = [
        Version(
            slug="weather",
            owner=owner,
            version=f"1.{minor}.0",
            state="published",
            digest=document_digest(document),
            scope="catalogue",
            revision=1,
            document=document,
            notes="",
            published_at=AT,
        )
        for minor, document in enumerate(versions)
    ]
    return made


async def ask(where: World, enterprise: str = "platform", **query: Any) -> Difference:
    return await diff(caller(enterprise), DiffConnector(slug="weather", **query), where.ports)


BROKEN = edited(api_key(), {"/operations/1": DROP, "/name": "World weather"})


async def test_the_draft_is_compared_with_the_highest_version_by_default() -> None:
    found = await ask(world(api_key(), edited(api_key(), {"/description": "Rain."}), draft=BROKEN))

    assert (found.before.version, found.after.version, found.after.revision) == ("1.1.0", None, 1)
    assert (found.bump, found.next_version) == ("major", "2.0.0")
    assert [(change.bump, change.path) for change in found.changes] == [
        ("major", "/operations/create_report"),
        ("patch", "/description"),
        ("patch", "/name"),
    ]
    assert found.changes[2].model_dump(include={"before", "after"}) == {"before": "Weather", "after": "World weather"}


async def test_two_versions_are_compared_in_the_order_named() -> None:
    where = world(api_key(), BROKEN)

    forth = await ask(where, before="1.0.0", after="1.1.0")
    back = await ask(where, before="1.1.0", after="1.0.0")

    assert (forth.bump, back.bump) == ("major", "minor")
    assert (forth.next_version, back.next_version) == (None, None)
    assert forth.after.revision is None


async def test_the_same_document_has_no_bump() -> None:
    found = await ask(world(api_key()))

    assert (found.bump, found.next_version, found.changes, found.more) == (None, None, [], 0)


async def test_a_document_that_says_the_same_otherwise_is_a_patch() -> None:
    found = await ask(world(api_key(), draft=edited(api_key(), {"/key_prefix": ""})))

    assert (found.bump, found.next_version, found.changes) == ("patch", "1.0.1", [])


@pytest.mark.parametrize(
    ("query", "says"), [({}, "nothing to compare"), ({"before": "7.0.0"}, "has no version 7.0.0. It has: none")]
)
async def test_a_version_that_is_not_there_is_not_found(query: dict[str, str], says: str) -> None:
    where = World()
    where.registry.save(api_key())

    with pytest.raises(DibopError, match=says) as caught:
        await ask(where, **query)

    assert caught.value.code == "not-found"


async def test_a_draft_that_is_no_template_is_refused_with_its_problems() -> None:
    with pytest.raises(DibopError) as caught:
        await ask(world(api_key(), draft=edited(api_key(), {"/base_url": "nowhere"})))

    assert caught.value.code == "invalid-template"
    assert [entry["path"] for entry in caught.value.errors] == ["/base_url"]


async def test_who_writes_no_drafts_compares_versions_alone() -> None:
    where = world(api_key(), BROKEN, owner="acme")
    viewer = caller("acme", VIEWER)

    versions = await diff(viewer, DiffConnector(slug="weather", before="1.0.0", after="1.1.0"), where.ports)
    with pytest.raises(DibopError) as caught:
        await diff(viewer, DiffConnector(slug="weather"), where.ports)

    assert versions.bump == "major"
    assert caught.value.code == "forbidden"


async def test_an_enterprise_sees_no_draft_of_the_platform() -> None:
    where = world(api_key(), draft=BROKEN)

    with pytest.raises(DibopError) as caught:
        await ask(where, "acme")

    assert caught.value.code == "not-found"


async def test_long_values_are_abridged_and_what_does_not_fit_is_counted() -> None:
    long = "x" * 3000
    operations = [{"operation": f"get_{n}", "description": long, "method": "GET", "path": f"/{n}"} for n in range(400)]
    old = edited(api_key(), {"/operations": operations})
    new = edited(old, {f"/operations/{n}/description": long + "y" for n in range(400)})

    found = await ask(world(old, draft=new))

    assert found.more > 0
    assert len(found.changes) + found.more == 400
    assert len(found.model_dump_json()) < MAX_CHANGES_BYTES + 4096
    assert found.changes[0].abridged
    assert len(found.changes[0].before) <= MAX_VALUE_BYTES + 1
