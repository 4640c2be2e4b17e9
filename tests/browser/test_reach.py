"""Every screen for everybody: axe in both themes, narrow windows, the keyboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest
from playwright.sync_api import Request

from tests.browser.console import Console

TABS: Final = ("overview", "auth", "operations", "resilience", "test", "publish", "source", "versions")
PAGES: Final = (
    "/",
    "/?search=nothing-has-this-word",
    "/connectors/new",
    "/connectors/openweathermap",
    "/connections",
    "/connections/new?connector=openweathermap",
    "/connections/openweathermap/default",
    "/calls",
    "/reviews",
    "/audit",
    "/status",
)
WIDTHS: Final = (320, 768, 1024, 1360)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_screen_violates_a_rule_of_axe(window: Callable[..., Console], slug: str, draft: object, theme: str) -> None:
    console = window(color_scheme=theme)
    for path in PAGES:
        console.open(path).page.wait_for_load_state("networkidle")
        console.accessible()
    for tab in TABS:
        console.open(f"/connectors/{slug}/{tab}").page.wait_for_load_state("networkidle")
        console.accessible()


def test_every_screen_fits_every_window(console: Console, slug: str, draft: object) -> None:
    for path in (*PAGES, *(f"/connectors/{slug}/{tab}" for tab in TABS)):
        console.open(path)
        for width in WIDTHS:
            console.page.set_viewport_size({"width": width, "height": 800})
            assert console.overflow() <= 0, f"{path} is {console.overflow()} px too wide at {width}"
            assert not console.narrow_controls(), f"{path} at {width}: {console.narrow_controls()}"


def test_a_page_without_a_session_leads_to_sign_in_and_back(window: Callable[..., Console], stack: object) -> None:
    console = window(signed_in=False)
    console.open("/connectors/new?x=1")
    assert console.page.url.endswith("/sign-in?next=/connectors/new%3Fx%3D1")
    console.accessible()


def test_a_sign_in_link_signs_in_once(window: Callable[..., Console], stack: object) -> None:
    link = stack.json("console")["url"]  # type: ignore[attr-defined]
    console = window(signed_in=False)
    console.page.goto(link)
    console.page.wait_for_url(f"{console.url}/")
    again = window(signed_in=False)
    again.refusals_expected = True
    again.page.goto(link)
    again.page.get_by_role("alert").filter(has_text="used already").wait_for()


def test_unknown_addresses_are_told_of_in_words(console: Console) -> None:
    console.refusals_expected = True
    for path in ("/nowhere", "/connectors/no-such-connector/overview", "/connectors/openweathermap/nothing"):
        response = console.page.goto(console.url + path)
        assert response is not None
        assert response.status == 404, path
        console.page.get_by_role("heading", name="Not found").wait_for()
        console.accessible()


def test_the_first_visit_of_the_builder_is_light(console: Console, slug: str, draft: object) -> None:
    """As it is sent, with an empty cache, without the text editor."""
    sent: list[Request] = []

    def finished(request: Request) -> None:
        sent.append(request)

    console.page.on("requestfinished", finished)
    console.open(f"/connectors/{slug}/operations").page.wait_for_load_state("networkidle")
    sizes = {request.url.rpartition("/")[2]: request.sizes()["responseBodySize"] for request in sent}
    assert "editor.js" not in sizes
    assert len(sent) <= 10, sizes
    assert sum(sizes.values()) <= 125 * 1024, sizes


def test_a_viewer_looks_and_changes_nothing(window: Callable[..., Console], slug: str, draft: object) -> None:
    console = window(role="viewer")
    page = console.open("/").page
    page.get_by_role("list", name="Connectors").get_by_role("link", name="OpenWeatherMap").wait_for()
    assert page.get_by_role("link", name="Create connector").count() == 0
    console.accessible()
    page.get_by_role("link", name="OpenWeatherMap").click()
    console.ready()
    assert page.get_by_role("link", name="Edit the draft").count() == 0
    assert page.get_by_role("link", name="Connect", exact=True).count() == 0
    console.refusals_expected = True
    response = page.goto(f"{console.url}/connectors/{slug}/overview?owner=platform")
    assert response is not None
    assert response.status in {403, 404}
    console.accessible()
    answer = console.context.request.put(
        f"/api/v1/connectors/{slug}-2/draft", data={"name": "No"}, headers={"Origin": console.url}
    )
    assert answer.status == 403
