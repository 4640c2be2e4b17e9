"""Template files as the command line reads them."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from dibop.authoring import TemplateFileError, read_template
from dibop.errors import InvalidRequestError

TEMPLATE = """\
name: Weather
description: The weather.
base_url: https://api.example.com
auth_type: none
operations:
  - operation: now
    description: Now.
    method: GET
    path: /now
"""
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def write(folder: Path, text: str) -> Path:
    path = folder / "weather.yaml"
    path.write_text(text)
    return path


def test_a_valid_file_gives_its_template(tmp_path: Path) -> None:
    file = read_template(write(tmp_path, TEMPLATE))

    assert file.errors == []
    assert file.require_valid().slug == "weather"


def test_every_error_has_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, TEMPLATE.replace("method: GET", "method: GRAB").replace("auth_type: none", "auth_typ: none"))

    file = read_template(path)

    assert {(error.path, error.line) for error in file.errors} >= {("/operations/0/method", 8), ("/auth_typ", 4)}
    with pytest.raises(TemplateFileError, match="problems") as caught:
        file.require_valid()
    assert caught.value.code == "invalid-template"
    assert {error["line"] for error in caught.value.errors} >= {4, 8}


def test_broken_yaml_is_a_problem_with_a_line(tmp_path: Path) -> None:
    with pytest.raises(TemplateFileError) as caught:
        read_template(write(tmp_path, "name: [a\n"))

    assert caught.value.problems[0].line is not None


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match=r"missing\.yaml cannot be read"):
        read_template(tmp_path / "missing.yaml")


def test_values_are_replaced_before_the_check(tmp_path: Path) -> None:
    file = read_template(write(tmp_path, TEMPLATE), assignments=["base_url=http://127.0.0.1:8080", "slug=other"])

    template = file.require_valid()
    assert (template.base_url, template.slug) == ("http://127.0.0.1:8080", "other")


def test_a_replacement_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="--set"):
        read_template(write(tmp_path, TEMPLATE), assignments=["/operations/7/path=/x"])


def test_an_icon_beside_the_template_is_taken_in(tmp_path: Path) -> None:
    (tmp_path / "icon.png").write_bytes(PNG)

    file = read_template(write(tmp_path, TEMPLATE + "icon: icon.png\n"))

    assert file.errors == []
    assert file.document["icon"] == f"data:image/png;base64,{base64.b64encode(PNG).decode()}"


@pytest.mark.parametrize(
    ("icon", "says"),
    [("missing.png", "cannot be read"), ("icon.gif", "neither PNG nor SVG"), ("../icon.png", "leads out")],
)
def test_an_icon_that_cannot_be_taken_in_is_a_problem_at_its_line(tmp_path: Path, icon: str, says: str) -> None:
    folder = tmp_path / "templates"
    folder.mkdir()
    (tmp_path / "icon.png").write_bytes(PNG)

    file = read_template(write(folder, TEMPLATE + f"icon: {icon}\n"))

    assert file.template is None
    assert says in file.errors[0].problem
    assert file.errors[0].line == 10


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("icon.png", PNG[:40], "cut off"),
        ("icon.png", b"GIF89a", "not what it says"),
        ("icon.svg", b"<svg><script>alert(1)</script></svg>", "first element"),
        ("icon.svg", b"<svg", "not what it says"),
        ("icon.png", PNG + b"x" * 300_000, "300,070 bytes"),
    ],
)
def test_an_icon_that_the_registry_would_refuse_is_a_problem_at_its_line(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)

    file = read_template(write(tmp_path, TEMPLATE + f"icon: {name}\n"))

    assert [(problem.path, problem.line, says in problem.problem) for problem in file.errors] == [("/icon", 10, True)]


def test_a_part_is_checked_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "auth.yaml"
    path.write_text("auth_type: api_key\nheader_name: X-Key\n")

    assert read_template(path, part="auth").errors == []
    assert read_template(path).errors != []
