"""Testing a draft: credentials, steps as they come, what was sent and got, and why it failed."""

from __future__ import annotations

import re
from typing import Any

import httpx
from playwright.sync_api import expect

from tests.browser.console import Console


def test_from_a_draft_over_its_test_to_its_publication(
    console: Console, slug: str, draft: dict[str, Any], weather_key: str, api: httpx.Client
) -> None:
    page = console.open(f"/connectors/{slug}/operations").page
    panel = page.get_by_role("complementary", name="Test")
    panel.get_by_label("API key").fill(weather_key)
    panel.get_by_role("button", name="Use for tests").click()
    expect(panel.get_by_text("Credentials kept")).to_be_visible()
    panel.get_by_role("textbox", name="q").fill("Paris")
    page.keyboard.press("Control+Enter")
    expect(panel.get_by_role("listitem").filter(has_text="get_current_weather")).to_contain_text("Passed 200")
    expect(panel.get_by_label("Response body")).to_contain_text('"Paris"')
    panel.get_by_role("tab", name="cURL").click()
    expect(panel.get_by_label("Request as a cURL command")).to_contain_text("curl -X GET")
    panel.get_by_role("tab", name="Request").click()
    expect(panel.get_by_label("Request", exact=True)).to_contain_text("q=Paris")
    assert weather_key not in page.content()
    console.accessible()

    panel.get_by_role("button", name="Use this response as schema").click()
    expect(console.tab.get_by_label("JSON Schema (2020-12)")).to_have_value(re.compile("coord"))
    console.saved()
    panel.get_by_role("button", name="Run test").click()
    expect(panel.get_by_role("button", name="Run test")).to_be_enabled()
    expect(panel.get_by_role("listitem").filter(has_text="get_current_weather")).to_contain_text("Passed 200")

    tab = console.go("Publish")
    tab.get_by_role("button", name="Publish 1.0.0").click()
    page.get_by_role("dialog").get_by_role("button", name="Publish 1.0.0").click()
    expect(tab.get_by_text("Version 1.0.0 is published.")).to_be_visible()
    document = api.get(f"/connectors/{slug}/versions/1.0.0").json()["document"]
    assert document["operations"][0]["sample"] == {"q": "Paris"}
    assert "main" in document["operations"][0]["response_schema"]["properties"]


def test_a_failure_says_why_and_where_to_mend_it(console: Console, slug: str, draft: object) -> None:
    page = console.open(f"/connectors/{slug}/test").page
    tab = console.tab
    tab.get_by_label("API key").fill("not-the-right-key-at-all")
    tab.get_by_role("button", name="Use for tests").click()
    expect(tab.get_by_text("Credentials kept")).to_be_visible()
    tab.get_by_role("button", name="Run all tests").click()
    result = tab.get_by_role("region", name="Result")
    expect(result.get_by_text("The system does not accept the credentials.")).to_be_visible()
    console.accessible()
    result.get_by_role("button", name="Go there").click()
    page.wait_for_url(f"**/connectors/{slug}/auth*")
    console.go("Test").get_by_text("Earlier runs").click()
    expect(console.tab.get_by_text("0 passed, 1 failed, 0 skipped")).to_be_visible()
