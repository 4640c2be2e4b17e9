"""From a tested draft to versions that others use: the checklist, publishing, what is different, connections."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.console import Console
from tests.support.stack import Stack


@pytest.fixture
def tested(stack: Stack, draft: dict[str, Any], weather_key: str, tmp_path: Path) -> dict[str, Any]:
    """The draft, with each operation tested."""
    secrets = tmp_path / "credentials.yaml"
    secrets.write_text(f"api_key: {weather_key}\n")
    stack.test(draft, "--credentials-file", str(secrets))
    return draft


def test_what_is_open_is_said_with_the_way_to_it(console: Console, slug: str, draft: object) -> None:
    tab = console.open(f"/connectors/{slug}/publish").tab
    expect(tab.get_by_role("list", name="What is open")).to_contain_text("get_current_weather: tested with success")
    expect(tab.get_by_role("button", name="Publish 1.0.0")).to_be_disabled()
    tab.get_by_role("button", name="Mend it: Icon").click()
    expect(console.tab.get_by_role("button", name="Upload icon")).to_be_focused()
    console.accessible()


def test_published_again_with_what_is_different(
    console: Console, slug: str, tested: object, api: httpx.Client, weather_key: str
) -> None:
    page = console.open(f"/connectors/{slug}/publish").page
    console.tab.get_by_label("Notes").fill("The first one.")
    console.tab.get_by_role("button", name="Publish 1.0.0").click()
    dialog = page.get_by_role("dialog", name="Publish 1.0.0")
    expect(dialog).to_contain_text("every enterprise")
    dialog.get_by_role("button", name="Publish 1.0.0").click()
    expect(console.tab.get_by_text("Version 1.0.0 is published.")).to_be_visible()
    expect(console.tab.get_by_text("so there is nothing to publish")).to_be_visible()
    console.accessible()

    console.go("Overview").get_by_label("Description").fill("The weather of all cities.")
    console.saved()
    tab = console.go("Publish")
    expect(tab.get_by_text("after 1.0.0")).to_be_visible()
    expect(tab.get_by_text("description of the connector").or_(tab.get_by_text("/description"))).to_be_visible()
    expect(tab.get_by_role("button", name="Publish 1.0.1")).to_be_visible()
    assert api.get(f"/connectors/{slug}/versions/1.0.0").json()["notes"] == "The first one."

    console.open(f"/connectors/{slug}").accessible()
    page.get_by_role("link", name="Connect", exact=True).click()
    console.ready()
    page.get_by_label("API key").fill(weather_key)
    console.accessible()
    page.get_by_role("button", name="Create connection").click()
    page.wait_for_url(f"**/connections/{slug}/default")
    console.ready().page.get_by_role("button", name="Ping").click()
    expect(page.get_by_role("region", name="Ping").get_by_text("Online")).to_be_visible()
    assert weather_key not in page.content()
    console.accessible()

    console.open(f"/connectors/{slug}")
    page.locator("summary", has_text="get_current_weather").click()
    page.get_by_role("textbox", name="q", exact=True).fill("Paris")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_label("Result")).to_contain_text('"Paris"')


def test_a_version_is_restored_and_a_revision_too(
    console: Console, slug: str, draft: dict[str, Any], saved: Callable[[], dict[str, Any]]
) -> None:
    console.open(f"/connectors/{slug}/overview").tab.get_by_label("Description").fill("Later words.")
    console.saved()
    tab = console.go("Versions")
    tab.get_by_role("button", name="Restore revision 1").click()
    expect(console.go("Overview").get_by_label("Description")).to_have_value(draft["description"])
    console.saved()
    assert saved()["description"] == draft["description"]
    console.page.get_by_role("button", name="Undo").first.click()
    expect(console.tab.get_by_label("Description")).to_have_value("Later words.")
    console.saved()


def test_credentials_for_tests_are_sealed_and_forgotten(
    console: Console, slug: str, draft: object, weather_key: str
) -> None:
    tab = console.open(f"/connectors/{slug}/test").tab
    tab.get_by_label("API key").fill(weather_key)
    tab.get_by_role("button", name="Use for tests").click()
    expect(tab.get_by_text("Credentials kept")).to_be_visible()
    assert weather_key not in console.page.content()
    console.accessible()
    tab.get_by_role("button", name="Forget now").click()
    expect(tab.get_by_label("API key")).to_have_value("")
