"""What people and external systems may write: hostile words, other scripts, wrong files, pasted tables."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx
from playwright.sync_api import expect

from tests.browser.conftest import WEATHER, save
from tests.browser.console import Console

HOSTILE: Final = "</script><img src=x onerror=\"window.hit=1\"><svg onload='window.hit=1'>{{7*7}}"
Saved = Callable[[], dict[str, Any]]


def test_hostile_words_stay_words(console: Console, api: httpx.Client, slug: str, weather_url: str) -> None:
    document = {**copy.deepcopy(WEATHER), "slug": slug, "base_url": weather_url, "name": f"A {HOSTILE}"[:100]}
    document["description"] = document["operations"][0]["description"] = HOSTILE
    document["operations"][0]["parameters"][0]["description"] = HOSTILE
    save(api, document)
    for path in (f"/connectors/{slug}", "/", *(f"/connectors/{slug}/{tab}" for tab in ("overview", "operations"))):
        console.open(path).page.wait_for_load_state("networkidle")
        assert console.page.evaluate("window.hit === undefined"), path
        assert console.page.locator("img[src=x]").count() == 0
    expect(console.page.get_by_role("heading", level=1)).to_contain_text("<img src=x")


def test_names_of_other_scripts(console: Console, slug: str, draft: object, saved: Saved) -> None:
    console.open(f"/connectors/{slug}/overview").tab.get_by_label("Name").fill("مناخ 🌦 Köln")
    console.saved()
    assert saved()["name"] == "مناخ 🌦 Köln"
    expect(console.page.get_by_role("heading", level=1)).to_have_text("مناخ 🌦 Köln")
    expect(console.page).to_have_title("Overview · مناخ 🌦 Köln · DIBOP")


def test_icons_are_images_of_some_size(
    console: Console, slug: str, draft: object, saved: Saved, tmp_path: Path
) -> None:
    tab = console.open(f"/connectors/{slug}/overview").tab
    text, huge, drawing = tmp_path / "words.txt", tmp_path / "huge.png", tmp_path / "drawing.svg"
    text.write_text("no image")
    huge.write_bytes(b"\x89PNG" + bytes(10 * 1024 * 1024))
    drawing.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><script>alert(1)</script><path d="M0 0h8v8z"/></svg>'
    )
    chooser = tab.get_by_label("Icon file")
    chooser.set_input_files(text)
    expect(tab.get_by_role("alert").filter(has_text="words.txt is no PNG or SVG")).to_be_visible()
    chooser.set_input_files(huge)
    expect(tab.get_by_role("alert").filter(has_text="up to 256 KB are taken")).to_be_visible()
    chooser.set_input_files(drawing)
    expect(tab.locator(".icon img")).to_be_visible()
    console.saved()
    assert saved()["icon"].startswith("data:image/svg+xml")
    console.open(f"/connectors/{slug}/overview")
    expect(console.tab.locator(".icon img")).to_be_visible()


def test_a_pasted_table_becomes_parameters(console: Console, slug: str, draft: object, saved: Saved) -> None:
    tab = console.open(f"/connectors/{slug}/operations").tab
    tab.get_by_role("button", name="Add parameter").click()
    name = tab.locator(".rows.parameters .grid").last.get_by_label("Name")
    expect(name).to_be_focused()
    name.evaluate(
        """(input, text) => { const data = new DataTransfer(); data.setData('text', text);
        input.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true})); }""",
        "name,in,type,required\nunits,query,string,no\ndays,query,integer,yes\n",
    )
    console.saved()
    rows = saved()["operations"][0]["parameters"]
    assert [(row["name"], row["type"], row["required"]) for row in rows] == [
        ("q", "string", True),
        ("units", "string", False),
        ("days", "integer", True),
    ]


def test_every_template_survives_the_way_through_yaml(console: Console, slug: str, draft: object) -> None:
    console.open(f"/connectors/{slug}/source").page.wait_for_selector(".cm-content")
    chosen = random.Random(7)
    texts = [
        "",
        "no",
        "1e3",
        "0x1F",
        "null",
        "~",
        "a: b",
        "# c",
        "- d",
        " e ",
        "é\n\nf\t",
        "2026-01-31",
        "'\"",
        "🌦",
        "@",
    ]

    def value(depth: int) -> Any:
        kind = chosen.randrange(8 if depth < 4 else 5)
        if kind < 2:
            return chosen.choice(texts)
        if kind == 2:
            return chosen.choice([0, -1, 1.5, 10**12, True, False, None])
        if kind < 5:
            return chosen.choice(texts) + chosen.choice(texts)
        if kind == 5:
            return [value(depth + 1) for _ in range(chosen.randrange(4))]
        return {f"x-{chosen.choice(texts)}{index}": value(depth + 1) for index in range(chosen.randrange(4))}

    documents = [{"name": "A", "x-any": value(0), "operations": [value(1)]} for _ in range(200)]
    changed = console.page.evaluate(
        """async (documents) => {
            const {editor} = JSON.parse(document.getElementById('page-data').textContent);
            const {readYaml, writeYaml} = await import(editor);
            return documents.filter((each) => {
                const {value, problems} = readYaml(writeYaml(each));
                return problems.length || JSON.stringify(value) !== JSON.stringify(each);
            });
        }""",
        documents,
    )
    assert changed == []


def test_a_connector_is_made_with_the_keyboard_alone(
    console: Console, slug: str, weather_url: str, saved: Saved
) -> None:
    """Tabs and Enter outside of the texts: what a person without a mouse presses."""
    page, presses = console.open("/connectors/new").page, 0

    def press(*keys: str) -> None:
        nonlocal presses
        for key in keys:
            page.keyboard.press(key)
            presses += 1

    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("Weather")
    press("Tab")
    page.keyboard.press("Control+a")
    page.keyboard.type(slug)
    press("Enter")
    page.wait_for_url(f"**/connectors/{slug}/overview*")
    console.ready()
    console.tab.get_by_label("Base URL").focus()
    page.keyboard.type(weather_url)
    press("Alt+3")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(console.tab.get_by_role("button", name="Add operation")).to_be_focused()
    press("Enter")
    expect(console.tab.get_by_label("Identifier")).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type("get_city")
    press("Shift+Tab")
    page.keyboard.press("Control+a")
    page.keyboard.type("/data/{city}")
    console.saved()
    operation = saved()["operations"][0]
    assert (operation["operation"], operation["path"]) == ("get_city", "/data/{city}")
    assert operation["parameters"][0]["name"] == "city"
    assert presses <= 120
    assert page.evaluate("document.activeElement !== document.body")
