"""Icons of documents: cleaned in place, refused with the place, the problem and the mend."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from shared.contracts.icons import IconError, clean_icon, with_clean_icon
from tests.unit.contracts.icons.images import gif, png, svg

DRAWING = svg("<path d='M0 0' onload='alert(1)'/>")


def url(kind: str, image: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(image).decode()}"


def inside(icon: str) -> bytes:
    return base64.b64decode(icon.partition(",")[2])


def test_the_icon_of_a_document_is_cleaned_and_the_rest_kept() -> None:
    document, problem = with_clean_icon({"name": "Weather", "icon": url("image/svg+xml", DRAWING), "x-own": 1})

    assert problem is None
    assert b"alert" not in inside(document["icon"])
    assert {key: document[key] for key in ("name", "x-own")} == {"name": "Weather", "x-own": 1}
    assert with_clean_icon(document) == (document, None)


def test_a_percent_encoded_icon_is_stored_as_base64() -> None:
    assert clean_icon("data:image/svg+xml,%3Csvg%20xmlns='http://www.w3.org/2000/svg'/%3E").startswith(
        "data:image/svg+xml;base64,"
    )


@pytest.mark.parametrize("icon", [None, "logo.svg", 7, "", ["data:image/png"], "https://example.com/logo.png"])
def test_what_is_no_data_url_is_left_to_the_rules(icon: Any) -> None:
    assert with_clean_icon({"icon": icon}) == ({"icon": icon}, None)
    assert with_clean_icon({}) == ({}, None)


@pytest.mark.parametrize(
    ("icon", "says"),
    [
        (url("image/gif", gif()), "not a PNG or SVG"),
        (url("text/html", b"<script>alert(1)</script>"), "not a PNG or SVG"),
        (url("image/svg+xml;charset=x,", DRAWING), "not what it says"),
        ("data:", "not a PNG or SVG"),
        ("DATA:text/html,x", "not a PNG or SVG"),
        (url("image/png", gif()), "not what it says"),
        (url("image/png", DRAWING), "not what it says"),
        (url("image/svg+xml", png()), "not what it says"),
        (url("image/svg+xml", b"\x1f\x8b" + DRAWING), "not what it says"),
        (url("image/png", png()[:60]), "cut off"),
        (url("image/png", png() * 2000), "bytes large"),
        (url("image/png", b"\x89PNG\r\n\x1a\n" + b"x" * 10_000_000), "10,000,008 bytes large"),
        (url("image/svg+xml", svg("<g/>" * 70_000)), "bytes large"),
        ("data:image/png;base64,%%%", "base64 is broken"),
        (url("image/svg+xml", b"<!---->" * 9000 + b"x"), "not what it says"),
        (url("image/svg+xml", b"<!--" * 16_000), "not what it says"),
    ],
)
def test_what_is_no_icon_is_refused_with_its_place(icon: str, says: str) -> None:
    document, problem = with_clean_icon({"icon": icon})

    assert problem is not None
    assert (problem.path, says in problem.problem) == ("/icon", True)
    assert problem.mend
    assert document == {"icon": icon}
    with pytest.raises(IconError):
        clean_icon(icon)
