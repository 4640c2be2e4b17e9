"""A person's consent by the browser: bound to their session, good for once, and exchanged by executors alone."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.integration.console.conftest import Person, SignedIn, Stage
from tests.integration.console.test_sessions import problem
from tests.integration.console.test_test_runs import ended
from tests.support.connectors import document, operation
from tests.support.oauth_server import CLIENT_ID, CLIENT_SECRET, OAuthServer

pytestmark = pytest.mark.asyncio(loop_scope="module")


def consenting(oauth: OAuthServer, slug: str) -> dict[str, Any]:
    fields = {
        "client_id": {"label": "Client id"},
        "client_secret": {"label": "Client secret", "type": "password", "sensitive": True},
    }
    return document(
        slug,
        base_url=oauth.url,
        auth_type="oauth2",
        grant_type="authorization_code",
        authorization_url=f"{oauth.url}/authorize",
        token_url=f"{oauth.url}/token",
        scopes="read",
        credential_schema=fields,
        operations=[operation("me", path="/api/me", parameters=[], response_schema={})],
    )


async def consented(url: str) -> str:
    """Where the authorization server sends the browser of somebody who says yes at once."""
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(url)
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


async def drafted(ann: httpx.AsyncClient, oauth: OAuthServer, slug: str) -> None:
    saved = await ann.put(f"/connectors/{slug}/draft", json=consenting(oauth, slug))
    assert saved.json()["errors"] == [], saved.text


async def connected(ann: httpx.AsyncClient, slug: str) -> None:
    body = {"connector": slug, "credentials": {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}}
    made = await ann.post("/connections", json=body)
    assert made.status_code == 201, made.text


async def test_a_consent_is_good_for_once_and_in_its_own_session(
    stage: Stage, oauth: OAuthServer, signed_in: SignedIn, slug: str
) -> None:
    ann, eve = await signed_in(), await signed_in()
    await drafted(ann, oauth, slug)
    await connected(ann, slug)
    begun = await ann.post(f"/connections/{slug}/default/authorize", json={"return_to": "/connections?done"})
    assert begun.status_code == 200, begun.text
    location = await consented(begun.json()["url"])
    assert location.startswith(f"{stage.console.url}/oauth/callback?")

    assert (await eve.get(location)).status_code == 400, "another session's callback is refused, and uses up the state"
    again = await ann.post(f"/connections/{slug}/default/authorize", json={"return_to": "/connections?done"})
    location = await consented(again.json()["url"])
    back = await ann.get(location)
    assert "has no published version" in back.text, "an executor was asked to exchange the code"
    assert (await ann.get(location)).status_code == 400, "a state is good for once"


async def test_from_a_consent_for_tests_to_a_published_connector_and_a_connection_that_works(
    oauth: OAuthServer, signed_in: SignedIn, slug: str
) -> None:
    ann = await signed_in()
    await ann.put(f"/connectors/{slug}/draft", json=consenting(oauth, slug))
    body = {"credentials": {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}, "return_to": "/back"}
    begun = await ann.post(f"/connectors/{slug}/test-credentials/authorize", json=body)
    assert begun.status_code == 200, begun.text
    back = await ann.get(await consented(begun.json()["url"]))
    assert back.headers["location"] == "/back", back.text
    started = await ann.post(f"/connectors/{slug}/tests", json={})
    assert started.status_code == 202, started.text
    run = await ended(ann, slug, started.json()["run_id"])
    assert run["state"] == "passed", run
    published = await ann.post(f"/connectors/{slug}/publish", json={"scope": "enterprise"})
    assert published.json()["version"] == "1.0.0", published.text

    await connected(ann, slug)
    begun = await ann.post(f"/connections/{slug}/default/authorize", json={"return_to": "/connections?done"})
    back = await ann.get(await consented(begun.json()["url"]))
    assert (back.status_code, back.headers["location"]) == (303, "/connections?done"), back.text
    assert (await ann.get(f"/connections/{slug}/default")).json()["token"]["scopes"] == "read"
    answer = await ann.post(f"/connectors/{slug}/operations/me/execute", json={})
    assert answer.json()["status_code"] == 200, answer.text


async def test_consent_needs_a_browser_and_comes_back_to_the_console(
    oauth: OAuthServer, signed_in: SignedIn, person: Person, slug: str
) -> None:
    ann, program = await signed_in(), person()
    await drafted(ann, oauth, slug)
    await connected(ann, slug)
    problem(await program.post(f"/connections/{slug}/default/authorize", json={}), 403, "forbidden")
    for place in ("https://evil.example", "//evil.example", "/\\evil.example", "x"):
        refused = await ann.post(f"/connections/{slug}/default/authorize", json={"return_to": place})
        problem(refused, 400, "invalid-request")
    url = (await ann.post(f"/connections/{slug}/default/authorize", json={})).json()["url"]
    state = parse_qs(urlsplit(url).query)["state"][0]
    root = str(ann.base_url).removesuffix("/api/v1/")
    for query in (
        "",
        "state=made-up&code=x",
        f"state={state}&state={state}&code=x",
        f"state={state}&error=access_denied",
    ):
        assert (await ann.get(f"{root}/oauth/callback?{query}")).status_code == 400
