"""Asking for consent from end to end, with a scripted browser in the place of the authorization server and a person."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from dibop import consent
from dibop.consent import Way, consented
from dibop.errors import AuthorizationError, CredentialsError
from shared.contracts.template import Template, check
from shared.security.authorization import PendingAuthorization, Purpose

PURPOSE = Purpose("kim", "local", "platform", "crm", "8e4f3c2a-0000-4000-8000-000000000001")
TEMPLATE = check(
    {
        "name": "CRM",
        "slug": "crm",
        "base_url": "https://api.example.com",
        "auth_type": "oauth2",
        "grant_type": "authorization_code",
        "authorization_url": "https://login.example.com/authorize",
        "token_url": "https://login.example.com/token",
        "operations": [],
    }
).template


@dataclass
class Browser:
    """Is sent to the authorization server, and comes back with what `answer` makes of the state."""

    answer: Callable[[str], dict[str, str]]
    pages: list[asyncio.Task[httpx.Response]] = field(default_factory=list)
    asked: dict[str, str] = field(default_factory=dict)

    def __call__(self, url: str) -> None:
        self.asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        self.pages.append(asyncio.create_task(self._come_back()))

    async def _come_back(self) -> httpx.Response:
        query = urlencode(self.answer(self.asked["state"]))
        async with httpx.AsyncClient(trust_env=False) as client:
            return await client.get(f"{self.asked['redirect_uri']}?{query}")


async def exchanged(pending: PendingAuthorization, code: str) -> str:
    return f"{code} for {pending.purpose.connector}"


async def refuse(_pending: PendingAuthorization, _code: str) -> str:
    raise CredentialsError("credentials-rejected", "The code is not taken.")


async def ask(browser: Browser, exchange: consent.Exchange[str] = exchanged, *, seconds: float = 10) -> str:
    assert isinstance(TEMPLATE, Template)
    way = Way(browser, browser=False, seconds=seconds)
    return await consented(TEMPLATE, {"client_id": "us"}, PURPOSE, way, exchange)


async def test_what_the_person_agrees_to_is_exchanged() -> None:
    browser = Browser(lambda state: {"code": "c0de", "state": state, "iss": "https://login.example.com"})

    assert await ask(browser) == "c0de for crm"
    assert (await browser.pages[0]).status_code == 200


@pytest.mark.parametrize(
    ("answer", "said"),
    [({"error": "access_denied"}, "consent was not given"), ({"code": "c", "iss": "https://evil.org"}, "evil.org")],
)
async def test_a_refusal_is_told_to_both(answer: dict[str, str], said: str) -> None:
    browser = Browser(lambda state: {"state": state, **answer})

    with pytest.raises(AuthorizationError, match=said):
        await ask(browser)
    page = await browser.pages[0]
    assert (page.status_code, said in page.text) == (400, False)


async def test_a_failed_exchange_is_told_to_both() -> None:
    browser = Browser(lambda state: {"code": "c", "state": state})

    with pytest.raises(CredentialsError, match="not taken"):
        await ask(browser, refuse)
    assert "Not authorized" in (await browser.pages[0]).text


async def test_a_made_up_callback_is_not_waited_for() -> None:
    browser = Browser(lambda _state: {"code": "c", "state": "made-up"})

    with pytest.raises(AuthorizationError, match=r"within 0\.5 s"):
        await ask(browser, seconds=0.5)
    assert "Not known" in (await browser.pages[0]).text
