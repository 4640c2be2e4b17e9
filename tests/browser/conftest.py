"""One running stack and one browser for all tests; a window and a connector of its own for each."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Callable, Iterator
from typing import Any, Final

import httpx
import pytest
from playwright.sync_api import Browser, sync_playwright

from dibop.context import Context
from dibop.local.home import Home
from tests.browser.chromium import ARGUMENTS, executable
from tests.browser.console import Console
from tests.support.stack import Stack

WEATHER: Final[dict[str, Any]] = {
    "name": "Weather",
    "type": "General",
    "description": "The weather of cities.",
    "auth_type": "api_key",
    "operations": [
        {
            "operation": "get_current_weather",
            "description": "The weather in a city now.",
            "method": "GET",
            "path": "/data/2.5/weather",
            "parameters": [{"name": "q", "location": "query", "type": "string", "required": True}],
            "response_schema": {"type": "object", "properties": {"name": {"type": "string"}}},
            "sample": {"q": "London"},
        }
    ],
    "resilience": {},
}


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """With the demo: its weather system is what connectors here call."""
    environment = {"DIBOP_SIGN_INS_PER_MINUTE": "1000"}
    shared = Stack(tmp_path_factory.mktemp("stack"), workers=1, environment=environment).up("--demo")
    yield shared
    shared.down()


@pytest.fixture(scope="session")
def url(stack: Stack) -> str:
    address = Context.load(stack.home).console_url
    assert address is not None
    return address


@pytest.fixture(scope="session")
def weather_url(stack: Stack) -> str:
    """The external system."""
    address: str = stack.parts()["demo-weather"]["address"]
    return address


@pytest.fixture(scope="session")
def weather_key(stack: Stack) -> str:
    """The key that it takes."""
    return Home(stack.home).demo_key_file.read_text().strip()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = executable()
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, chromium_sandbox=False, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def api(stack: Stack, url: str) -> Iterator[httpx.Client]:
    """The HTTP API in the local admin's name: how tests make what they look at."""
    token = Context.load(stack.home).token()
    with httpx.Client(base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
        yield client


@pytest.fixture
def window(stack: Stack, url: str, browser: Browser) -> Iterator[Callable[..., Console]]:
    """Opens windows of a person who is signed in, each with a session of its own; they must not complain."""
    opened: list[Console] = []
    token = Context.load(stack.home).token()
    assert token is not None

    def make(*, signed_in: bool = True, role: str = "", **options: Any) -> Console:
        options.setdefault("viewport", {"width": 1360, "height": 860})
        # colours that change at once: between two of them the contrast is neither's
        context = browser.new_context(base_url=url, reduced_motion="reduce", **options)
        given = stack.run("token", "--subject", "vera", "--role", role).stdout.strip() if role else token
        opened.append(Console(context, url, given))
        if signed_in:
            opened[-1].sign_in()
        return opened[-1]

    yield make
    complaints = [complaint for console in opened for complaint in console.complaints]
    for console in opened:
        console.context.close()
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def console(window: Callable[..., Console]) -> Console:
    return window()


@pytest.fixture
def slug() -> str:
    return f"weather-{secrets.token_hex(4)}"


@pytest.fixture
def draft(api: httpx.Client, slug: str, weather_url: str) -> dict[str, Any]:
    """A valid draft of the platform, saved under `slug`."""
    document = {**copy.deepcopy(WEATHER), "slug": slug, "base_url": weather_url}
    save(api, document)
    return document


def save(api: httpx.Client, document: dict[str, Any]) -> None:
    """Save a new draft of the platform."""
    response = api.put(f"/connectors/{document['slug']}/draft", json=document, params={"owner": "platform"})
    response.raise_for_status()


@pytest.fixture
def saved(api: httpx.Client, slug: str) -> Callable[[], dict[str, Any]]:
    """Reads the draft as the server has it."""

    def read() -> dict[str, Any]:
        response = api.get(f"/connectors/{slug}/draft", params={"owner": "platform"})
        response.raise_for_status()
        document: dict[str, Any] = response.json()["document"]
        return document

    return read
