"""Signing in at an OIDC issuer: back in the same browser alone, with the issuer's own token, renewed as it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.console.app import Console
from tests.integration.console.test_sessions import problem
from tests.support.console import browser, console_at
from tests.support.oidc_provider import OidcProvider

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def issuer() -> AsyncIterator[OidcProvider]:
    async with OidcProvider() as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def console(
    nats_url: str, redis_url: str, issuer: OidcProvider, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Console]:
    directory = tmp_path_factory.mktemp("oidc")
    secret = directory / "secret"
    secret.write_text(issuer.client_secret)
    settings: dict[str, Any] = {
        "nats_url": nats_url,
        "redis_url": redis_url,
        "token_issuer": issuer.address,
        "oidc_client_id": issuer.client_id,
        "oidc_client_secret_file": secret,
        "sign_ins_per_minute": 1000,
    }
    async with console_at(directory, **settings) as made:
        yield made


async def sent_back(person: httpx.AsyncClient, console: Console, path: str = "/connectors/new") -> str:
    """Where the issuer sends a browser back to that has begun to sign in."""
    begun = await person.get(f"{console.url}/sign-in/oidc", params={"next": path})
    assert begun.status_code == 303, begun.text
    async with httpx.AsyncClient(trust_env=False) as elsewhere:
        return (await elsewhere.get(begun.headers["location"])).headers["location"]


async def test_a_person_signs_in_at_the_issuer(console: Console, issuer: OidcProvider) -> None:
    async with browser(console) as olga, browser(console) as mallory:
        location = await sent_back(olga, console)
        assert (await mallory.get(location)).status_code == 401, "another browser is not signed in"
        back = await olga.get(await sent_back(olga, console))
        assert (back.status_code, back.headers["location"]) == (303, "/connectors/new")
        me = (await olga.get("/me")).json()
        assert (me["subject"], me["enterprise"], me["owners"]) == ("olga", "umbrella", ["umbrella"])
        away = await sent_back(olga, console, "//evil.example/")
        assert (await olga.get(away)).headers["location"] == "/"


async def test_a_token_is_renewed_before_it_ends_once_for_all_that_ask(console: Console, issuer: OidcProvider) -> None:
    issuer.lifetime = 20
    async with browser(console) as olga:
        await olga.get(await sent_back(olga, console))
        issuer.lifetime = 300
        answers = await asyncio.gather(*(olga.get("/me") for _ in range(5)))
        assert [answer.status_code for answer in answers] == [200] * 5
        assert issuer.renewed == 1

        issuer.lifetime = 20
        await olga.get(await sent_back(olga, console))
        issuer.refresh_tokens.clear()
        problem(await olga.get("/me"), 401, "unauthenticated")


async def test_what_is_not_this_sign_ins_answer_is_refused(console: Console, issuer: OidcProvider) -> None:
    async with browser(console) as olga:
        location = await sent_back(olga, console)
        assert (await olga.get(location.replace("code=", "kode="))).status_code == 401
        location = await sent_back(olga, console)
        assert (await olga.get(location.replace("iss=http", "iss=https"))).status_code == 401
        issuer.nonce_override = "another"
        assert (await olga.get(await sent_back(olga, console))).status_code == 401
        issuer.nonce_override, issuer.person["roles"] = None, ["nothing"]
        assert (await olga.get(await sent_back(olga, console))).status_code == 403
        problem(await olga.get("/me"), 401, "unauthenticated")
