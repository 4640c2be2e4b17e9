"""The redirect URI on the loopback: one callback, told to its sender; everything else is turned away."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import httpx
import pytest

from dibop.errors import LocalStackError
from dibop.loopback import Loopback
from shared.security.authorization import AuthorizationRefusedError, ForeignCallbackError


def accept(query: str) -> str:
    """A callback whose state is `good`."""
    if "state=good" not in query:
        raise ForeignCallbackError("Not known.")
    if "error" in query:
        raise AuthorizationRefusedError("Refused.")
    return query.partition("code=")[2].partition("&")[0]


@pytest.fixture
async def browser() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        yield client


async def test_the_code_arrives_and_the_browser_hears_how_it_ended(browser: httpx.AsyncClient) -> None:
    async with Loopback() as loopback:
        loopback.expect(accept)
        page = asyncio.create_task(browser.get(f"{loopback.redirect_uri}?state=good&code=the-secret-code"))
        assert await loopback.code(10) == "the-secret-code"
        assert not page.done()
    answer = await page
    assert (answer.status_code, "Authorized" in answer.text) == (200, True)
    assert "the-secret-code" not in answer.text
    assert "good" not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


async def test_the_browser_hears_of_a_failure_too(browser: httpx.AsyncClient) -> None:
    pages: list[asyncio.Task[httpx.Response]] = []

    async def exchange_in_vain() -> None:
        async with Loopback() as loopback:
            loopback.expect(accept)
            pages.append(asyncio.create_task(browser.get(f"{loopback.redirect_uri}?state=good&code=c")))
            await loopback.code(10)
            raise RuntimeError("the exchange failed")

    with pytest.raises(RuntimeError, match="the exchange failed"):
        await exchange_in_vain()
    answer = await pages[0]
    assert (answer.status_code, "Not authorized" in answer.text) == (400, True)


async def test_a_refusal_ends_the_wait(browser: httpx.AsyncClient) -> None:
    pages: list[asyncio.Task[httpx.Response]] = []

    async def wait() -> None:
        async with Loopback() as loopback:
            loopback.expect(accept)
            pages.append(asyncio.create_task(browser.get(f"{loopback.redirect_uri}?state=good&error=access_denied")))
            await loopback.code(10)

    with pytest.raises(AuthorizationRefusedError):
        await wait()
    assert (await pages[0]).status_code == 400


async def test_what_is_foreign_is_turned_away_and_the_wait_goes_on(browser: httpx.AsyncClient) -> None:
    async with Loopback() as loopback:
        loopback.expect(accept)
        uri = loopback.redirect_uri
        port = uri.split(":")[2].partition("/")[0]
        good = f"{uri}?state=good&code=c"

        assert (await browser.get(f"{uri}?state=guessed&code=c")).status_code == 400
        assert (await browser.get(good.replace("/callback", "/"))).status_code == 404
        assert (await browser.get(good.replace("/callback", "/callback/x"))).status_code == 404
        assert (await browser.post(good)).status_code == 404
        assert (await browser.head(good)).status_code == 404
        for host in ("evil.example.com", f"evil.example.com:{port}", "127.0.0.1", f"localhost:{port}", "127.0.0.1:1"):
            assert (await browser.get(good, headers={"Host": host})).status_code == 421
        page = asyncio.create_task(browser.get(good))
        assert await loopback.code(10) == "c"
        assert (await browser.get(good)).status_code == 410
    assert (await page).status_code == 200


async def test_it_is_known_as_localhost_where_that_is_registered(browser: httpx.AsyncClient) -> None:
    async with Loopback(host="localhost") as loopback:
        loopback.expect(accept)
        assert loopback.redirect_uri.startswith("http://localhost:")
        page = asyncio.create_task(browser.get(f"{loopback.redirect_uri}?state=good&code=c"))
        assert await loopback.code(10) == "c"
    assert (await page).status_code == 200


async def test_nobody_comes() -> None:
    async with Loopback() as loopback:
        loopback.expect(accept)
        with pytest.raises(TimeoutError):
            await loopback.code(0.05)


async def test_a_port_that_is_taken_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(LocalStackError, match="--port"):
            async with Loopback(port=taken.getsockname()[1]):
                pass


async def test_it_is_closed_afterwards(browser: httpx.AsyncClient) -> None:
    async with Loopback() as loopback:
        uri = loopback.redirect_uri
    with pytest.raises(httpx.ConnectError):
        await browser.get(uri)
