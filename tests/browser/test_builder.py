"""Making a connector in the Builder: each tab, and what holds over all of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from playwright.sync_api import expect

from tests.browser.console import Console

Saved = Callable[[], dict[str, Any]]


def test_from_create_connector_to_a_whole_draft(console: Console, slug: str, weather_url: str, saved: Saved) -> None:
    page = console.open("/").page
    page.get_by_role("link", name="Create connector").click()
    console.ready()
    page.get_by_label("Name").fill("Città Wetter 2")
    assert page.get_by_label("Slug").input_value() == "citta-wetter-2"
    page.get_by_label("Slug").fill(slug)
    page.get_by_role("button", name="Create connector").click()
    page.wait_for_url(f"**/connectors/{slug}/overview*")
    tab = console.ready().tab
    tab.get_by_label("Type").select_option("Telematics")
    tab.get_by_label("Description").fill("The weather of cities.")
    tab.get_by_label("Base URL").fill(weather_url)

    tab = console.go("Auth")
    tab.get_by_role("radio", name="API key").check()
    tab.get_by_label("Prefix").fill("Key ")
    expect(tab.get_by_label("The credential of each request")).to_have_text("X-API-Key: Key ••••")

    tab = console.go("Operations")
    tab.get_by_role("button", name="Add operation").click()
    expect(tab.get_by_label("Identifier")).to_be_focused()
    tab.get_by_label("Identifier").fill("get_city")
    tab.get_by_label("Path", exact=True).fill("/cities/")
    tab.get_by_label("Path", exact=True).press_sequentially("{city}")
    expect(tab.get_by_role("group", name="Parameter city")).to_be_visible()
    assert page.url.split("?")[0].endswith("/operations/get_city")

    tab = console.go("Resilience")
    tab.get_by_label("Timeout", exact=True).fill("12.5")
    tab.get_by_label("Backoff", exact=True).select_option("linear")
    expect(tab.get_by_role("button", name="Reset to 30, timeout")).to_be_visible()
    console.saved()

    document = saved()
    assert document["type"] == "Telematics"
    assert document["key_prefix"] == "Key "
    assert document["operations"][0]["parameters"] == [
        {"name": "city", "location": "path", "type": "string", "required": True}
    ]
    assert document["resilience"] == {"timeout_seconds": 12.5, "retry_backoff": "linear"}


def test_a_placeholder_and_its_parameter_are_renamed_together(console: Console, slug: str, draft: object) -> None:
    tab = console.open(f"/connectors/{slug}/operations/get_current_weather").tab
    path = tab.get_by_label("Path", exact=True)
    path.fill("/data/{id}")
    path.press("ArrowLeft")
    path.press_sequentially("x")
    expect(tab.get_by_role("group", name="Parameter idx")).to_be_visible()
    expect(tab.get_by_role("group", name="Parameter id", exact=True)).to_have_count(0)

    tab.get_by_role("group", name="Parameter idx").get_by_label("Name").fill("city")
    expect(path).to_have_value("/data/{city}")

    path.fill("/data/all")
    path.blur()
    expect(tab.get_by_role("group", name="Parameter city")).to_have_count(0)
    console.saved()


def test_undo_and_redo_over_everything(console: Console, slug: str, draft: dict[str, Any], saved: Saved) -> None:
    page = console.open(f"/connectors/{slug}/overview").page
    description = console.tab.get_by_label("Description")
    description.press("End")
    description.press_sequentially(" And of villages.")
    console.go("Operations").get_by_role("button", name="Delete").click()
    expect(console.tab.get_by_text("No operations yet")).to_be_visible()
    page.get_by_role("status").get_by_role("button", name="Undo").click()
    expect(console.tab.get_by_label("Identifier")).to_have_value("get_current_weather")
    page.keyboard.press("Control+z")
    expect(console.go("Overview").get_by_label("Description")).to_have_value("The weather of cities.")
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    page.keyboard.press("Control+Shift+z")
    expect(console.tab.get_by_label("Description")).to_have_value("The weather of cities. And of villages.")
    console.saved()
    assert saved()["operations"] == draft["operations"]
    assert page.evaluate("document.activeElement !== document.body")


def test_problems_stand_at_their_field_are_counted_and_mended(console: Console, slug: str, draft: object) -> None:
    page = console.open(f"/connectors/{slug}/operations").page
    tab = console.tab
    tab.get_by_label("Path", exact=True).fill("/data/{lang}")
    tab.get_by_role("button", name="Remove parameter lang").click()
    problem = tab.locator(".problem", has_text="{lang} has no path parameter.")
    expect(problem).to_be_visible()
    expect(tab.get_by_label("Path", exact=True)).to_have_attribute("aria-invalid", "true")
    described = tab.get_by_label("Path", exact=True).get_attribute("aria-describedby")
    assert described is not None
    assert page.locator(f"#{described.split()[-1]}").inner_text().startswith("{lang} has no path parameter.")
    steps = page.get_by_role("navigation", name="Steps of the Builder")
    expect(steps.get_by_role("link", name="Operations 1 problem")).to_be_visible()

    console.open(f"/connectors/{slug}/overview")
    page.keyboard.press("F8")
    expect(console.tab.get_by_label("Path", exact=True)).to_be_focused()
    console.tab.get_by_role("button", name="Add lang").click()
    expect(console.tab.get_by_role("group", name="Parameter lang")).to_be_visible()
    console.saved()
    expect(console.tab.locator(".problem:visible")).to_have_count(0)


def test_autosave_tells_the_truth_offline(console: Console, slug: str, draft: object, saved: Saved) -> None:
    console.open(f"/connectors/{slug}/overview")
    console.refusals_expected = True
    console.context.set_offline(True)
    console.tab.get_by_label("Description").fill("Written on a train.")
    console.expect_state("Not saved: offline, will retry")
    console.context.set_offline(False)
    console.saved()
    assert saved()["description"] == "Written on a train."


def test_two_authors_keep_what_both_have_written(
    window: Callable[..., Console], slug: str, draft: object, saved: Saved
) -> None:
    ann, bob = (window().open(f"/connectors/{slug}/overview") for _ in range(2))
    ann.tab.get_by_label("Description").fill("By Ann.")
    ann.saved()
    bob.refusals_expected = True
    bob.tab.get_by_label("Name").fill("By Bob")
    bob.expect_state("Changed elsewhere")
    bob.page.get_by_role("button", name="Put both together").click()
    bob.saved()
    expect(bob.tab.get_by_label("Description")).to_have_value("By Ann.")
    assert (saved()["name"], saved()["description"]) == ("By Bob", "By Ann.")


def test_both_changed_the_same_and_one_keeps_theirs(
    window: Callable[..., Console], slug: str, draft: object, saved: Saved
) -> None:
    ann, bob = (window().open(f"/connectors/{slug}/overview") for _ in range(2))
    ann.tab.get_by_label("Description").fill("By Ann.")
    ann.saved()
    bob.refusals_expected = True
    bob.tab.get_by_label("Description").fill("By Bob.")
    bob.expect_state("Changed elsewhere")
    bob.page.get_by_role("button", name="Take theirs").click()
    bob.saved()
    expect(bob.tab.get_by_label("Description")).to_have_value("By Ann.")
    bob.page.get_by_role("button", name="Undo").first.click()
    expect(bob.tab.get_by_label("Description")).to_have_value("By Bob.")
    bob.saved()
    assert saved()["description"] == "By Bob."


def test_the_session_ends_while_somebody_types(console: Console, slug: str, draft: object, saved: Saved) -> None:
    console.open(f"/connectors/{slug}/overview")
    console.refusals_expected = True
    console.context.clear_cookies()
    console.tab.get_by_label("Description").fill("Typed without a session.")
    console.expect_state("Not saved: signed out")
    console.sign_in()
    console.page.get_by_role("button", name="Save again").click()
    console.saved()
    assert saved()["description"] == "Typed without a session."


def test_form_and_source_are_one_document(console: Console, slug: str, draft: object, saved: Saved) -> None:
    page = console.open(f"/connectors/{slug}/source").page
    editor = console.tab.get_by_role("textbox", name="The template as text")
    expect(editor).to_contain_text("get_current_weather")
    page.keyboard.press("Control+Home")
    editor.click()
    page.keyboard.press("Control+Home")
    page.keyboard.type("x-team: weather\n")
    console.saved()
    assert saved()["x-team"] == "weather"
    console.go("Overview").get_by_label("Description").fill("Told in the form.")
    console.go("Source")
    expect(editor).to_contain_text("description: Told in the form.")
    expect(editor).to_contain_text("x-team: weather")
    editor.click()
    page.keyboard.press("Control+Home")
    page.keyboard.type("broken: [")
    expect(console.tab.get_by_role("alert")).to_contain_text("The form shows the last state that could be read.")
    expect(console.go("Overview").get_by_label("Description")).to_have_value("Told in the form.")
    console.saved()


def test_a_schema_is_made_from_a_sample_response(console: Console, slug: str, draft: object, saved: Saved) -> None:
    tab = console.open(f"/connectors/{slug}/operations").tab
    tab.get_by_role("button", name="Make from a sample response").click()
    sample = {"name": "London", "main": {"temp": 11}, "days": [{"at": 1}, {"at": 1.5}]}
    tab.get_by_label("Sample response").fill(json.dumps(sample))
    tab.get_by_role("button", name="Use as schema").click()
    console.saved()
    schema = saved()["operations"][0]["response_schema"]
    assert schema["properties"]["main"]["properties"]["temp"] == {"type": "integer"}
    assert schema["properties"]["days"]["items"]["properties"]["at"] == {"type": "number"}
    text = tab.get_by_label("JSON Schema (2020-12)")
    text.fill('{"type": "object"')
    expect(tab.locator(".problem", has_text="This is not JSON yet")).to_be_visible()
    assert saved()["operations"][0]["response_schema"] == schema


def test_another_kind_of_authentication_keeps_what_the_first_had(console: Console, slug: str, draft: object) -> None:
    tab = console.open(f"/connectors/{slug}/auth").tab
    tab.get_by_label("Header name").fill("X-Weather-Key")
    tab.get_by_role("radio", name="OAuth 2.0").check()
    tab.get_by_role("textbox", name="Scopes").fill("read write")
    expect(tab.get_by_label("The token request")).to_contain_text("scope=read%20write")
    tab.get_by_role("radio", name="API key").check()
    expect(tab.get_by_label("Header name")).to_have_value("X-Weather-Key")
    tab.get_by_role("button", name="Add field").click()
    tab.get_by_role("group", name="Field field_1").get_by_label("Label").fill("Region")
    expect(tab.get_by_role("group", name="Preview of the credential form").get_by_label("Region")).to_be_visible()
    console.saved()
