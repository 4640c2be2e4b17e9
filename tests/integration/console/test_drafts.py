"""Drafts over HTTP: saved valid or not, with entity tags that keep two authors from each other's work."""

from __future__ import annotations

import asyncio

import pytest

from shared.security.principals import Role
from tests.integration.console.conftest import Person, SignedIn
from tests.integration.console.test_sessions import problem
from tests.support.connectors import document

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_draft_is_saved_and_read_back(signed_in: SignedIn, slug: str) -> None:
    ann = await signed_in()
    made = await ann.put(f"/connectors/{slug}/draft", json=document(slug), headers={"If-None-Match": "*"})
    assert made.status_code == 201, made.text
    assert made.headers["etag"] == made.json()["etag"] == '"1"'
    assert made.json()["errors"] == []

    read = await ann.get(f"/connectors/{slug}/draft")
    assert read.headers["etag"] == '"1"'
    assert read.json()["document"] == document(slug)
    assert read.json()["owner"] == "umbrella"
    listed = (await ann.get("/connectors", params={"search": slug})).json()["connectors"]
    assert [row["slug"] for row in listed] == [slug]


async def test_an_invalid_draft_is_saved_with_what_is_wrong_and_where(person: Person, slug: str) -> None:
    saved = await person().put(f"/connectors/{slug}/draft", json={"slug": slug, "name": "X", "base_url": "nowhere"})
    assert saved.status_code == 201
    errors = {error["pointer"]: error for error in saved.json()["errors"]}
    assert set(errors["/base_url"]) == {"pointer", "message", "mend", "fix"}


async def test_a_stale_save_is_refused_with_what_changed(person: Person, slug: str) -> None:
    ann, bob = person("ann"), person("bob")
    await ann.put(f"/connectors/{slug}/draft", json=document(slug))
    theirs = document(slug, description="Bob's words.")
    assert (await bob.put(f"/connectors/{slug}/draft", json=theirs, headers={"If-Match": '"1"'})).status_code == 200

    mine = document(slug, description="Ann's words.")
    told = problem(await ann.put(f"/connectors/{slug}/draft", json=mine, headers={"If-Match": '"1"'}), 412, "conflict")
    assert [error["pointer"] for error in told["errors"]] == ["/description"]  # type: ignore[attr-defined]
    problem(await ann.put(f"/connectors/{slug}/draft", json=mine), 412, "conflict")
    problem(await ann.patch(f"/connectors/{slug}/draft", json={}), 428, "invalid-request")
    problem(await ann.put(f"/connectors/{slug}/draft", json=mine, headers={"If-Match": "7"}), 400, "invalid-request")


async def test_two_authors_are_merged_where_they_touch_other_places(person: Person, slug: str) -> None:
    ann, bob = person("ann"), person("bob")
    await ann.put(f"/connectors/{slug}/draft", json=document(slug))
    await bob.put(f"/connectors/{slug}/draft", json=document(slug, name="Bob's"), headers={"If-Match": '"1"'})
    mine = document(slug, description="Ann's words.")
    merged = await ann.put(
        f"/connectors/{slug}/draft", json=mine, headers={"If-Match": '"1"'}, params={"merge": "true"}
    )
    assert merged.status_code == 200
    assert merged.json()["merged"] is True
    assert merged.json()["document"] == document(slug, name="Bob's", description="Ann's words.")


async def test_history_restore_patch_and_discard(person: Person, slug: str) -> None:
    ann = person()
    await ann.put(f"/connectors/{slug}/draft", json=document(slug))
    patched = await ann.patch(f"/connectors/{slug}/draft", json={"name": "New"}, headers={"If-Match": '"1"'})
    assert patched.json()["etag"] == '"2"'
    restored = await ann.post(f"/connectors/{slug}/draft/restore", params={"revision": 1}, headers={"If-Match": '"2"'})
    assert restored.json()["etag"] == '"3"'
    history = (await ann.get(f"/connectors/{slug}/draft/history")).json()["revisions"]
    assert [row["revision"] for row in history] == [3, 2, 1]
    assert history[0]["restored_from"] == 1
    old = await ann.get(f"/connectors/{slug}/draft", params={"revision": 2})
    assert old.json()["document"]["name"] == "New"
    problem(await ann.post(f"/connectors/{slug}/draft/discard", headers={"If-Match": '"3"'}), 409, "conflict")


async def test_duplicate_and_delete(person: Person, slug: str) -> None:
    ann = person()
    await ann.put(f"/connectors/{slug}/draft", json=document(slug))
    copy = await ann.post(f"/connectors/{slug}/duplicate", json={"new_slug": f"{slug}-2"})
    assert copy.status_code == 201, copy.text
    deleted = await ann.delete(f"/connectors/{slug}-2", headers={"If-Match": copy.json()["etag"]})
    assert deleted.status_code == 204
    problem(await ann.get(f"/connectors/{slug}-2/draft"), 404, "not-found")


async def test_only_one_of_two_first_saves_wins(person: Person, slug: str) -> None:
    ann = person()
    path, new = f"/connectors/{slug}/draft", {"If-None-Match": "*"}
    answers = await asyncio.gather(
        *(ann.put(path, json=document(slug, name=name), headers=new) for name in ("One", "Two"))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 412]


async def test_a_platform_admin_edits_the_platforms_draft_without_naming_it_twice(person: Person, slug: str) -> None:
    ann = person()
    made = await ann.put(f"/connectors/{slug}/draft", json=document(slug), params={"owner": "platform"})
    assert made.json()["owner"] == "platform"
    assert (await ann.get(f"/connectors/{slug}/draft")).json()["owner"] == "platform"
    assert (await ann.get(f"/connectors/{slug}")).json()["owner"] == "platform"


async def test_a_viewer_who_calls_the_api_directly_changes_nothing(person: Person, slug: str) -> None:
    ann, viewer = person(), person("vic", "umbrella", Role.VIEWER)
    await ann.put(f"/connectors/{slug}/draft", json=document(slug))
    problem(
        await viewer.put(f"/connectors/{slug}/draft", json=document(slug), headers={"If-Match": '"1"'}),
        403,
        "forbidden",
    )
    problem(await viewer.delete(f"/connectors/{slug}", headers={"If-Match": '"1"'}), 403, "forbidden")
    problem(await viewer.put(f"/connectors/{slug}-new/draft", json={}), 403, "forbidden")


async def test_another_enterprises_drafts_are_out_of_reach(person: Person, slug: str) -> None:
    stranger = person("eve", "globex", Role.ENTERPRISE_ADMIN_SDK)
    ann = person()
    await ann.put(f"/connectors/{slug}/draft", json=document(slug))
    for owner in ("umbrella", "platform"):
        problem(await stranger.get(f"/connectors/{slug}/draft", params={"owner": owner}), 403, "forbidden")
        problem(await stranger.put(f"/connectors/{slug}/draft", json={}, params={"owner": owner}), 403, "forbidden")
    problem(await stranger.get(f"/connectors/{slug}"), 404, "not-found")
    problem(await stranger.get(f"/connectors/{slug}/draft"), 404, "not-found")
    for owner in ("a.b", ">", "*", "UMBRELLA"):
        problem(await stranger.get(f"/connectors/{slug}/draft", params={"owner": owner}), 400, "invalid-request")
