"""From a template to a published version, and from a connection to an execution, by the HTTP API alone."""

from __future__ import annotations

import base64
import io
from typing import Any

import httpx
import pytest
import yaml
from PIL import Image

from shared.security.principals import Role
from tests.integration.console.conftest import Person, SignedIn, Stage
from tests.integration.console.test_sessions import problem
from tests.support.connectors import document, operation
from tests.support.polling import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "correct-horse-battery-staple"


def png() -> bytes:
    image = io.BytesIO()
    Image.new("RGB", (64, 64), "#2451d6").save(image, "PNG")
    return image.getvalue()


def echoing(stage: Stage, slug: str, **changes: Any) -> dict[str, Any]:
    """A template whose one operation the upstream answers."""
    return document(
        slug,
        base_url=stage.upstream.url("").rstrip("/"),
        **{"operations": [operation("look", sample={"q": "x"}, path="/json", response_schema={})], **changes},
    )


async def published(stage: Stage, ann: httpx.AsyncClient, slug: str, **changes: Any) -> None:
    changes = {"auth_type": "none", "credential_schema": None, **changes}
    made = await ann.put(f"/connectors/{slug}/draft", json=echoing(stage, slug, **changes))
    assert made.json()["errors"] == [], made.text
    run = await stage.world.tested("umbrella", {"slug": slug}, token_of(ann))
    assert run["steps"][-1]["outcome"] == "pass", run["steps"]
    answer = await ann.post(f"/connectors/{slug}/publish", json={"scope": "enterprise", "notes": "First."})
    assert answer.status_code == 200, answer.text
    assert answer.json()["version"] == "1.0.0"


def token_of(client: httpx.AsyncClient) -> str:
    return client.headers["authorization"].removeprefix("Bearer ")


async def test_a_connector_is_published_compared_and_moved(stage: Stage, person: Person, slug: str) -> None:
    ann = person()
    await ann.put(f"/connectors/{slug}/draft", json=echoing(stage, slug))
    missing = (await ann.get(f"/connectors/{slug}/checklist")).json()
    assert not missing["publishable"]
    refused = problem(
        await ann.post(f"/connectors/{slug}/publish", json={"scope": "enterprise"}), 409, "not-publishable"
    )
    assert refused["errors"]

    await ann.delete(f"/connectors/{slug}", headers={"If-Match": '"1"'})
    await published(stage, ann, slug)
    read = (await ann.get(f"/connectors/{slug}/versions/latest")).json()
    assert (read["version"], read["notes"]) == ("1.0.0", "First.")
    changed = echoing(stage, slug, auth_type="none", credential_schema=None, name="Otherwise")
    await ann.put(f"/connectors/{slug}/draft", json=changed, headers={"If-Match": '"1"'})
    diff = (await ann.get(f"/connectors/{slug}/diff")).json()
    assert (diff["bump"], diff["next_version"]) == ("patch", "1.0.1")
    assert diff["changes"][0]["path"] == "/name"
    problem(await ann.get(f"/connectors/{slug}/diff", params={"before": "nonsense"}), 400, "invalid-request")

    moved = await ann.post(f"/connectors/{slug}/deprecate", json={"date": "2030-01-31"})
    assert moved.json()["state"] == "deprecated"
    assert (await ann.post(f"/connectors/{slug}/unpublish", json={})).json()["versions"] == ["1.0.0"]
    rolled = await ann.post(f"/connectors/{slug}/rollback", json={"version": "1.0.0"})
    assert rolled.status_code == 200, rolled.text
    exported = await ann.get(f"/connectors/{slug}/export", params={"version": "draft"})
    assert exported.headers["content-disposition"] == f'attachment; filename="{slug}.yaml"'
    assert yaml.safe_load(exported.text) == changed


async def test_credentials_are_sealed_at_once_and_never_come_back(
    stage: Stage, signed_in: SignedIn, person: Person, slug: str
) -> None:
    ann = await signed_in()
    await ann.put(f"/connectors/{slug}/draft", json=echoing(stage, slug))
    form = (await ann.get(f"/connectors/{slug}/credential-form")).json()
    assert form["fields"]["api_key"]["sensitive"] is True
    assert form["needs_consent"] is False

    wrong = await ann.post("/connections", json={"connector": slug, "credentials": {"api_kee": SECRET}})
    told = problem(wrong, 422, "invalid-parameters")
    assert {error["name"] for error in told["errors"]} == {"api_kee", "api_key"}  # type: ignore[attr-defined]
    assert SECRET not in wrong.text

    made = await ann.post("/connections", json={"connector": slug, "credentials": {"api_key": SECRET}})
    assert made.status_code == 201, made.text
    assert made.json()["fields"] == {"api_key": f"••••{SECRET[-4:]}"}
    listed = await ann.get("/connections", params={"connector": slug})
    assert [row["name"] for row in listed.json()["connections"]] == ["default"]
    rotated = await ann.post(f"/connections/{slug}/default/rotate", json={"credentials": {"api_key": SECRET + "-2"}})
    assert rotated.json()["fields"] == {"api_key": "••••le-2"}
    for answer in (made, listed, rotated, await ann.get(f"/connections/{slug}/default")):
        assert SECRET not in answer.text

    kept = await ann.post(f"/connectors/{slug}/test-credentials", json={"credentials": {"api_key": SECRET}})
    assert kept.status_code == 201, kept.text
    assert SECRET not in kept.text
    mine = (await ann.get("/test-credentials", params={"connector": slug})).json()["credentials"]
    assert [row["id"] for row in mine] == [kept.json()["id"]]
    assert (await ann.delete(f"/test-credentials/{kept.json()['id']}")).status_code == 200

    stranger = person("eve", "globex", Role.ENTERPRISE_ADMIN)
    problem(await stranger.get("/connections", params={"enterprise": "umbrella"}), 403, "forbidden")
    problem(await stranger.get(f"/connections/{slug}/default"), 404, "not-found")
    assert (await ann.delete(f"/connections/{slug}/default")).json()["name"] == "default"


async def test_an_operation_is_executed_in_the_persons_name(
    stage: Stage, signed_in: SignedIn, person: Person, slug: str
) -> None:
    ann = person()
    await published(stage, ann, slug)
    in_browser = await signed_in()
    answer = await in_browser.post(f"/connectors/{slug}/operations/look/execute", json={"parameters": {"q": "Paris"}})
    assert answer.status_code == 200, answer.text
    result = answer.json()
    assert (result["status_code"], result["connector"], result["version"]) == (200, slug, "1.0.0")
    assert result["request_id"] == answer.headers["dibop-request-id"]

    async def is_logged() -> bool:
        logged = (await ann.get("/calls", params={"connector": slug, "outcome": "succeeded"})).json()["calls"]
        return [(call["operation"], call["status"], call["caller"]) for call in logged] == [("look", 200, "ann")]

    await eventually(is_logged)
    problem(await ann.get("/calls", params={"status": "9xx"}), 400, "invalid-request")

    told = problem(await ann.post(f"/connectors/{slug}/operations/look/execute", json={}), 422, "invalid-parameters")
    assert told["errors"][0]["name"] == "q"  # type: ignore[index]
    viewer = person("vic", "umbrella", Role.VIEWER)
    problem(await viewer.post(f"/connectors/{slug}/operations/look/execute", json={}), 403, "forbidden")
    stranger = person("eve", "globex", Role.ENTERPRISE_ADMIN)
    problem(await stranger.post(f"/connectors/{slug}/operations/look/execute", json={}), 404, "unknown-connector")
    for version in ("1.0.0\r\nX: y", "\u00e9"):
        refused = await ann.post(f"/connectors/{slug}/operations/look/execute", json={"version": version})
        problem(refused, 400, "invalid-request")


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/octet-stream"])
async def test_a_large_response_arrives_whole(stage: Stage, person: Person, slug: str, kind: str) -> None:
    size = 3_000_000
    query = [{"name": name, "location": "query", "type": what} for name, what in (("n", "integer"), ("type", "string"))]
    many = operation("look", path="/many", parameters=query, sample={"n": 10, "type": kind}, response_schema={})
    ann = person()
    await published(stage, ann, slug, operations=[many])
    body = {"parameters": {"n": size, "type": kind}}
    answer = await ann.post(f"/connectors/{slug}/operations/look/execute", json=body)
    assert answer.status_code == 200, answer.text[:500]
    result = answer.json()
    assert "response_body" not in result
    response = base64.b64decode(result["response"]) if kind.endswith("stream") else result["response"]
    assert len(response) == (size - 2 if kind.endswith("json") else size)


async def test_icons_are_images_made_safe(person: Person, slug: str) -> None:
    ann = person()
    made = await ann.post("/icons", content=png(), headers={"content-type": "image/png"})
    assert made.status_code == 200, made.text
    await ann.put(f"/connectors/{slug}/draft", json=document(slug, icon=made.json()["icon"]))
    shown = await ann.get(f"/connectors/{slug}/icon")
    assert shown.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(shown.content)).size == (64, 64)

    script = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script><rect width='1' height='1'/></svg>"
    drawing = (await ann.post("/icons", content=script)).json()["icon"]
    await ann.patch(f"/connectors/{slug}/draft", json={"icon": drawing}, headers={"If-Match": '"1"'})
    svg = await ann.get(f"/connectors/{slug}/icon")
    assert "script" not in svg.text
    assert svg.headers["content-security-policy"].endswith("sandbox")

    told = problem(await ann.post("/icons", content=b"GIF89a"), 422, "invalid-template")
    assert told["errors"][0]["pointer"] == "/icon"  # type: ignore[index]
    problem(await ann.post("/icons", content=b"x" * 300_000), 413, "invalid-request")
    problem(await ann.get(f"/connectors/{slug}-2/icon"), 404, "not-found")


async def test_templates_are_checked_and_converted_without_saving(person: Person, slug: str) -> None:
    ann = person("vic", "umbrella", Role.VIEWER)
    source = f"name: X\nslug: {slug}\nbase_url: nowhere\n"
    checked = (await ann.post("/templates/check", json={"source": source})).json()
    assert not checked["valid"]
    assert checked["document"]["base_url"] == "nowhere"
    assert [e["line"] for e in checked["errors"] if e["pointer"] == "/base_url"] == [3]
    broken = (await ann.post("/templates/check", json={"source": "a: [1"})).json()
    assert broken["document"] is None
    fine = (await ann.post("/templates/check", json={"document": document(slug)})).json()
    assert fine["valid"]
    assert set(fine["credential_fields"]) == {"api_key", "account"}
    part = (await ann.post("/templates/check", json={"document": {"type": "objekt"}, "part": "response_schema"})).json()
    assert not part["valid"]
    text = (await ann.post("/templates/yaml", json=document(slug))).json()["source"]
    assert yaml.safe_load(text) == document(slug)
    problem(await ann.post("/templates/check", json={}), 400, "invalid-request")


@pytest.mark.parametrize("body", [b'{"a": NaN}', b'{"a": "\\ud800"}', b"[" * 100_000, b"\xff", b"", b"[]"])
async def test_what_is_no_json_document_is_refused(person: Person, slug: str, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    problem(await person().put(f"/connectors/{slug}/draft", content=body, headers=headers), 400, "invalid-request")


async def test_administrators_see_reviews_audit_enterprises_keys_and_projections(person: Person, slug: str) -> None:
    admin, viewer = person(), person("vic", "umbrella", Role.VIEWER)
    await admin.put(f"/connectors/{slug}/draft", json=document(slug))
    entries = (await admin.get("/audit", params={"noun": "connector", "identifier": slug})).json()["entries"]
    assert [entry["action"] for entry in entries] == ["draft.save"]
    reviews = (await admin.get("/reviews", params={"state": "open"})).json()["reviews"]
    assert {review["owner"] for review in reviews} == {"acme"}
    shown = (await admin.get(f"/reviews/{reviews[0]['id']}")).json()
    assert shown["document"]["slug"] == reviews[0]["slug"]
    said = await admin.post(f"/reviews/{reviews[0]['id']}/comments", json={"text": "Which units?"})
    assert said.json()["comments"] == 1
    keys = (await admin.get("/keys")).json()
    assert len(keys["workers"]["workers"]) == 1
    assert (await admin.get("/projections/catalogue")).json()["differences"] == []
    assert (await admin.post("/enterprises/hooli", json={"what": "registered", "name": "Hooli"})).json()[
        "name"
    ] == "Hooli"
    assert (await admin.get("/enterprises/hooli")).json()["state"] == "active"
    for path in ("/audit", "/enterprises", "/keys", "/projections/catalogue", "/reviews", "/consumers"):
        problem(await viewer.get(path), 403, "forbidden")
