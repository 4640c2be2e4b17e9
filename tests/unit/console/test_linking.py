"""Modules joined into one file, and the files as they are served."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader, nodes

from services.console.pages.assets import STATIC, Assets
from services.console.pages.linking import LinkError, link_modules
from services.console.pages.rendering import TEMPLATES, in_script


def write(folder: Path, **sources: str) -> Path:
    for name, source in sources.items():
        (folder / f"{name}.js").write_text(source)
    return folder / "page.js"


def address(name: str) -> str:
    return f"/static/x/{name}"


def test_what_a_module_needs_comes_before_it_and_once(tmp_path: Path) -> None:
    entry = write(
        tmp_path,
        page='import A from "vendor/alpine.js";\nimport { one } from "./one.js";\n'
        'import { two } from "./two.js";\none();\n',
        one='import { two } from "./two.js";\nexport const one = () => two();\n',
        two="export function two() {}\n",
    )
    linked = link_modules(entry, address)
    assert linked == (
        'import A from "/static/x/vendor/alpine.js";\nfunction two() {}\nconst one = () => two();\none();\n'
    )


def test_a_name_of_two_modules_is_refused(tmp_path: Path) -> None:
    entry = write(
        tmp_path, page='import { a } from "./one.js";\nconst same = 1;\n', one="export const a = 1;\nconst same = 2;\n"
    )
    with pytest.raises(LinkError, match=r"page.js: same is declared in one.js too"):
        link_modules(entry, address)


def test_a_circle_of_imports_is_refused(tmp_path: Path) -> None:
    entry = write(
        tmp_path,
        page='import { a } from "./one.js";\nexport const b = 1;\n',
        one='import { b } from "./page.js";\nexport const a = 1;\n',
    )
    with pytest.raises(LinkError, match="import each other"):
        link_modules(entry, address)


def test_an_import_of_another_form_is_refused(tmp_path: Path) -> None:
    entry = write(tmp_path, page='import * as all from "./one.js";\n', one="export const a = 1;\n")
    with pytest.raises(LinkError, match="cannot be joined"):
        link_modules(entry, address)


def test_scripts_and_styles_are_small_enough() -> None:
    """What the Builder's page loads before it can be used, as it is sent."""
    assets = Assets()
    sent = 0
    for name in (
        "builder.js",
        "vendor/alpine.js",
        "app.css",
        "js/theme.js",
        "img/icon.svg",
        "vendor/inter-latin.woff2",
    ):
        asset = assets.found(assets.address(name))
        assert asset is not None
        sent += len(asset.packed or asset.content)
    assert sent <= 110 * 1024, f"{sent / 1024:.1f} KB"


def test_packed_files_hold_the_same() -> None:
    assets = Assets()
    asset = assets.found(assets.address("app.css"))
    assert asset is not None
    assert asset.packed is not None
    assert gzip.decompress(asset.packed) == asset.content


def test_data_in_a_page_cannot_end_its_element() -> None:
    value = {"name": "</script><img src=x onerror=alert(1)> & \u2028"}
    shown = str(in_script(value))
    assert not re.search(r"[<>&\u2028]", shown)
    assert json.loads(shown) == value


def test_attributes_hold_names_and_calls_only() -> None:
    """Alpine's build for strict content policies takes no more; the page's scripts hold the logic."""
    forbidden = re.compile(r"\?\.|\?\?|=>|`|\.\.\.|\btypeof\b|;|\bJSON\b|\bMath\b|&&|\|\|")
    attribute = re.compile(r'\s(?:x-[\w.:-]+|[:@][\w.:-]+)="([^"]*)"')
    for path in TEMPLATES.rglob("*.html"):
        for found in attribute.finditer(path.read_text()):
            assert not forbidden.search(found[1]), f"{path.name}: {found[0].strip()}"
            assert "x-html" not in found[0], path.name


def test_templates_have_no_inline_script_or_style() -> None:
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    for path in TEMPLATES.rglob("*.html"):
        source = path.read_text()
        assert isinstance(environment.parse(source), nodes.Template)
        assert not re.search(r"<style|\sstyle=|\son\w+=", source), path.name
        assert not re.search(r"<script(?![^>]*(?:\bsrc=|application/json))", source), path.name


def test_sources_stay_short() -> None:
    for path in (*STATIC.glob("js/**/*.js"), *STATIC.glob("css/*.css"), *TEMPLATES.rglob("*.html")):
        assert len(path.read_text().splitlines()) <= 320, path.name
