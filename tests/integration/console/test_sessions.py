"""Signing in and out, and requests that are nobody's or another site's."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from shared.security.principals import Role
from tests.integration.console.conftest import Person, SignedIn, Stage
from tests.support.console import browser, console_at, program
from tests.support.tokens import Tokens

pytestmark = pytest.mark.asyncio(loop_scope="module")


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = answer.json()
    assert body["type"] == f"urn:dibop:error:{code}"
    assert body["status"] == status
    assert body["request_id"] == answer.headers["dibop-request-id"]
    return body


async def test_a_link_signs_in_once(stage: Stage, person: Person) -> None:
    link = (await person().post("/sign-in-links")).json()
    address, _, code = link["url"].partition("#")
    assert address == f"{stage.console.url}/sign-in"

    async with browser(stage.console) as first, browser(stage.console) as second:
        signed_in = await first.post("/session", json={"code": code})
        assert signed_in.status_code == 201
        assert signed_in.json()["subject"] == "ann"
        cookie = signed_in.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert code not in cookie
        assert (await first.get("/me")).json()["signed_in"] is True
        problem(await second.post("/session", json={"code": code}), 401, "unauthenticated")


async def test_me_says_what_one_may(person: Person) -> None:
    admin = (await person().get("/me")).json()
    assert admin["owners"] == ["umbrella", "platform"]
    assert admin["signed_in"] is False
    viewer = (await person("vic", "umbrella", Role.VIEWER).get("/me")).json()
    assert viewer["owners"] == []
    assert viewer["may"] == ["read connectors and connections"]


async def test_signing_out_ends_the_session_and_not_only_the_cookie(stage: Stage, signed_in: SignedIn) -> None:
    ann = await signed_in()
    stolen = dict(ann.cookies)
    assert (await ann.delete("/session")).status_code == 204
    async with browser(stage.console) as thief:
        thief.cookies.update(stolen)
        problem(await thief.get("/me"), 401, "unauthenticated")


async def test_without_a_token_nothing_is_answered(stage: Stage) -> None:
    async with program(stage.console, None) as nobody, program(stage.console, "e30.e30.e30") as liar:
        answer = await nobody.get("/me")
        problem(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"
        problem(await liar.get("/connectors"), 401, "unauthenticated")


async def test_an_expired_token_ends_the_session_in_words(stage: Stage, tokens: Tokens) -> None:
    gone = tokens.issue("ann", "umbrella", Role.ENTERPRISE_ADMIN_SDK, lifetime_seconds=-3600)
    async with browser(stage.console) as ann:
        problem(await ann.post("/session", json={"token": gone}), 401, "unauthenticated")
        ann.cookies.set(f"dibop-session-{stage.console.url.rpartition(':')[2]}", "made-up")
        told = problem(await ann.put("/connectors/x/draft", json={}), 401, "unauthenticated")
        assert "The session has ended" in str(told["detail"])


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "", "Sec-Fetch-Site": ""},
    ],
)
async def test_another_sites_page_cannot_use_the_session(
    stage: Stage, signed_in: SignedIn, slug: str, headers: dict[str, str]
) -> None:
    ann = await signed_in()
    for name in ("origin", "sec-fetch-site"):
        ann.headers.pop(name)
    sent = {name: value for name, value in headers.items() if value}
    problem(await ann.put(f"/connectors/{slug}/draft", json={}, headers=sent), 403, "forbidden")
    problem(await ann.delete("/session", headers=sent), 403, "forbidden")
    assert (await ann.get("/me")).status_code == 200


async def test_another_sites_page_cannot_sign_a_person_in(stage: Stage, tokens: Tokens) -> None:
    token = tokens.issue("mallory", "umbrella", Role.VIEWER)
    async with program(stage.console, None) as page:
        answer = await page.post("/session", json={"token": token}, headers={"Origin": "https://evil.example"})
        problem(answer, 403, "forbidden")
        assert "set-cookie" not in answer.headers


async def test_a_session_makes_no_links_and_a_service_has_no_session(
    stage: Stage, signed_in: SignedIn, tokens: Tokens
) -> None:
    problem(await (await signed_in()).post("/sign-in-links"), 403, "forbidden")
    async with browser(stage.console) as page:
        token = tokens.issue("crm", "umbrella", Role.SERVICE)
        problem(await page.post("/session", json={"token": token}), 403, "forbidden")


async def test_attempts_to_sign_in_are_limited(
    stage: Stage, nats_url: str, redis_url: str, tokens: Tokens, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = {"nats_url": nats_url, "token_key_file": tokens.key_file}
    directory = tmp_path_factory.mktemp("limited")
    async with (
        console_at(directory, redis_url=redis_url, sign_ins_per_minute=1, **settings) as console,
        browser(console) as guesser,
    ):
        answers = [await guesser.post("/session", json={"code": str(number)}) for number in range(2)]
        refused = problem(answers[-1], 429, "rate-limited")
        assert int(answers[-1].headers["retry-after"]) <= 60
        assert refused["retry_after_ms"]


async def test_every_answer_tells_browsers_what_to_refuse(stage: Stage) -> None:
    async with httpx.AsyncClient(base_url=stage.console.url, trust_env=False) as anybody:
        for path in ("/", "/api/v1/me", "/health/ready", "/api/v1/nothing", "/api/v1/openapi.json"):
            headers = (await anybody.get(path)).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'; script-src 'self';" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"
            assert "server" not in headers


async def test_a_body_that_is_too_large_is_refused_by_its_length_and_as_it_comes(stage: Stage, person: Person) -> None:
    ann = person()
    problem(await ann.put("/connectors/x/draft", content=b"x" * 3_000_000), 413, "invalid-request")

    async def drip() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 100_000

    answer = await ann.put("/connectors/x/draft", content=drip(), headers={"content-type": "application/json"})
    problem(answer, 413, "invalid-request")


async def test_unknown_addresses_and_methods_are_problems_too(person: Person) -> None:
    ann = person()
    problem(await ann.get("/nothing"), 404, "not-found")
    problem(await ann.delete("/me"), 405, "invalid-request")
    told = problem(await ann.post("/session", json={"code": "secret", "token": "secret"}), 400, "invalid-request")
    assert "secret" not in str(told)
