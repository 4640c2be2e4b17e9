"""SVG icons: what draws stays, what acts or reaches out goes, and what cannot be bounded is refused."""

from __future__ import annotations

import time
from xml.etree import ElementTree

import pytest

from shared.contracts.icons import IconError, clean_svg
from shared.contracts.icons.svg import ATTRIBUTES, ELEMENTS, MAX_DEPTH, MAX_ELEMENTS, NAMESPACE
from tests.unit.contracts.icons.images import png, svg

DRAWING = """
<defs>
  <linearGradient id="sky" x1="0" y1="0" x2="0" y2="1">
    <stop offset="0" stop-color="#08f"/><stop offset="1" stop-color="white" stop-opacity=".5"/>
  </linearGradient>
  <clipPath id="cut"><circle cx="32" cy="32" r="30"/></clipPath>
</defs>
<g transform="translate(1 1) rotate(45, 32, 32)" clip-path="url(#cut)">
  <rect width="64" height="64" fill="url(#sky)"/>
  <path d="M0 32h64v-1.5e1z" style="fill:#f80;stroke-width:2px"/>
</g>
<text x="4" y="60" font-family="sans-serif" text-anchor="middle">A &amp; B &lt; C&#160;D</text>
<use href="#sky"/>
"""


def shapes(image: bytes) -> list[tuple[str, dict[str, str]]]:
    """Elements and their attributes, as a viewer of SVG reads them."""
    return [
        (each.tag.removeprefix(f"{{{NAMESPACE}}}"), dict(each.attrib)) for each in ElementTree.fromstring(image).iter()
    ]


def test_a_drawing_stays_as_it_is() -> None:
    clean = clean_svg(svg(DRAWING))

    assert [name for name, _ in shapes(clean)] == [name for name, _ in shapes(svg(DRAWING))]
    assert dict(shapes(clean))["rect"] == {"width": "64", "height": "64", "fill": "url(#sky)"}
    assert dict(shapes(clean))["path"]["style"] == "fill:#f80;stroke-width:2px"
    assert "A & B < C\N{NO-BREAK SPACE}D" in "".join(ElementTree.fromstring(clean).itertext())


@pytest.mark.parametrize(
    "image",
    [
        svg(DRAWING),
        svg('<use xlink:href="#a"/><path id="a" d="M0 0"/>'),
        svg("<a href='http://evil.example'><path d='M0 0'/></a>"),
        b"\xef\xbb\xbf" + svg("<g/>"),
        b'<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n<!-- a -->\n' + svg("<g/>"),
        b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/SVG/svg11.dtd">' + svg("<g/>"),
    ],
)
def test_cleaning_again_changes_nothing(image: bytes) -> None:
    once = clean_svg(image)

    assert clean_svg(once) == once
    assert once.startswith(b"<svg ")


HOSTILE = {
    "script": "<script>alert(1)</script>",
    "script in CDATA": "<script><![CDATA[alert(1)]]></script>",
    "script by reference": "<script href='https://evil.example/x.js'/>",
    "script in another case": "<SCRIPT>alert(1)</SCRIPT>",
    "event handler": "<path d='M0 0' onload='alert(1)' onclick='alert(1)'/>",
    "event handler in another case": "<path d='M0 0' ONLOAD='alert(1)'/>",
    "foreign object": "<foreignObject><iframe src='javascript:alert(1)'/></foreignObject>",
    "javascript link": "<a href='javascript:alert(1)'><path d='M0 0'/></a>",
    "javascript link, encoded": "<a xlink:href='java&#115;cript&#58;alert(1)'><path d='M0 0'/></a>",
    "use of another document": "<use href='https://evil.example/x.svg#a'/>",
    "use of another document, old way": "<use xlink:href='//evil.example/x.svg#a'/>",
    "use of data": "<use href='data:image/svg+xml,evil#a'/>",
    "image": "<image href='https://evil.example/i.png' width='1' height='1'/>",
    "style sheet": "<style>@import url(https://evil.example/x.css)</style>",
    "fill from outside": "<path d='M0 0' fill='url(https://evil.example/x#a)'/>",
    "fill from outside beside one's own": "<path d='M0 0' fill='url(#a) url(https://evil.example/x)'/>",
    "fill from outside, quoted": """<path d='M0 0' fill='url("//evil.example/x#a")'/>""",
    "fill from outside, escaped": r"<path d='M0 0' fill='u\72l(https://evil.example/x)'/>",
    "style from outside": "<path d='M0 0' style='fill:url(https://evil.example/x)'/>",
    "style from outside, escaped": r"<path d='M0 0' style='fill:\75rl(https://evil.example/x)'/>",
    "style from outside, in a comment": "<path d='M0 0' style='fill:/*x*/url(https://evil.example/x)'/>",
    "background": "<path d='M0 0' style='background:url(https://evil.example/x)'/>",
    "image set": "<path d='M0 0' style='fill:image-set(https://evil.example/x)'/>",
    "expression": "<path d='M0 0' style='width:expression(alert(1))'/>",
    "animation of a link": "<a><set attributeName='href' to='javascript:alert(1)'/><path d='M0 0'/></a>",
    "filter from outside": "<filter id='f'><feImage href='https://evil.example/x'/></filter><path filter='url(#f)'/>",
    "markup in a title": "<title><![CDATA[</title><script>alert(1)</script>]]></title>",
    "markup in a description": "<desc>&lt;script&gt;alert(1)&lt;/script&gt;</desc>",
    "handler": "<handler type='application/ecmascript'>alert(1)</handler>",
    "base": "<g xml:base='https://evil.example/'><use href='#a'/></g>",
    "processing instruction": "<?xml-stylesheet href='https://evil.example/x.xsl'?>",
    "comment": "<!-- --><!--><script>alert(1)</script>-->",
}


@pytest.mark.parametrize(
    "inside", [pytest.param(inside, id=name.replace(" ", "-")) for name, inside in HOSTILE.items()]
)
def test_what_acts_or_reaches_out_is_gone(inside: str) -> None:
    try:
        clean = clean_svg(svg(f"<rect width='9' height='9'/>{inside}"))
    except IconError:
        return

    assert b"evil" not in clean
    assert b"alert" not in clean
    for name, attributes in shapes(clean):
        assert name in ELEMENTS
        assert {each.rpartition("}")[2] for each in attributes} <= ATTRIBUTES
        assert all(value.startswith("#") for key, value in attributes.items() if key.endswith("href"))
    assert ("rect", {"width": "9", "height": "9"}) in shapes(clean)


@pytest.mark.parametrize(
    "inside",
    [HOSTILE[name] for name in ("script", "event handler", "foreign object", "image", "style sheet", "background")],
)
def test_an_icon_with_common_extras_is_still_taken(inside: str) -> None:
    assert b"<rect" in clean_svg(svg(f"<rect width='9' height='9'/>{inside}"))


def test_a_handler_at_the_first_element_is_gone() -> None:
    assert b"alert" not in clean_svg(svg("<g/>", " onload='alert(1)'"))


ENTITY = b'<!DOCTYPE svg [<!ENTITY a "b">]>' + svg("<text>&a;</text>")
LAUGHS = (
    b'<!DOCTYPE svg [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>' + svg("<text>&c;</text>")
)
OUTSIDE = b'<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + svg("<text>&x;</text>")


def nested(levels: int) -> bytes:
    return svg("<g>" * levels + "</g>" * levels)


def multiplied(levels: int, times: int = 10) -> bytes:
    """Each level uses the one below it so many times."""
    used = "".join(f"<g id='l{level + 1}'>" + f"<use href='#l{level}'/>" * times + "</g>" for level in range(1, levels))
    return svg(f"<defs><g id='l1'><path d='M0 0'/></g>{used}</defs><use href='#l{levels}'/>")


REFUSED = {
    "no image": (b"hello", "not well-formed"),
    "HTML": (b"<html><body/></html>", "first element"),
    "SVG in HTML": (b"<html>" + svg("<g/>") + b"</html>", "first element"),
    "no namespace": (b"<svg><g/></svg>", "first element"),
    "another namespace": (b'<svg xmlns="http://www.w3.org/1999/xhtml"><script/></svg>', "first element"),
    "PNG": (png(), "not UTF-8"),
    "cut off": (svg("<g/>")[:-3], "not well-formed"),
    "two documents": (svg("<g/>") + svg("<g/>"), "not well-formed"),
    "something behind": (svg("<g/>") + b"<script>alert(1)</script>", "not well-formed"),
    "UTF-16": (svg("<g/>").decode().encode("utf-16"), "not UTF-8"),
    "NUL": (svg("<g/>\0"), "not well-formed"),
    "entity": (ENTITY, "declares"),
    "billion laughs": (LAUGHS, "declares"),
    "entity from outside": (OUTSIDE, "declares"),
    "HTML entity": (svg("<text>&eacute;</text>"), "not well-formed"),
    "one level too deep": (nested(MAX_DEPTH), f"{MAX_DEPTH} one within"),
    "very deep": (nested(30_000), f"{MAX_DEPTH} one within"),
    "very many": (svg("<g/>" * MAX_ELEMENTS), f"{MAX_ELEMENTS:,} elements"),
    "multiplied": (multiplied(9), "draw too much"),
    "multiplied in a long chain": (multiplied(40, 2), "draw too much"),
    "in a circle": (svg("<g id='a'><use href='#b'/></g><g id='b'><use href='#a'/></g>"), "draw too much"),
    "in itself": (svg("<g id='a'><use href='#a'/></g>"), "draw too much"),
    "masks in a circle": (svg("<mask id='a'><g mask='url(#a)'/></mask><g mask='url(#a)'/>"), "draw too much"),
    "elements of HTML": (svg("<p xmlns='http://www.w3.org/1999/xhtml'>x</p><g/>"), "more than a drawing"),
}


@pytest.mark.parametrize(("image", "says"), REFUSED.values(), ids=[name.replace(" ", "-") for name in REFUSED])
def test_what_cannot_be_made_safe_is_refused(image: bytes, says: str) -> None:
    with pytest.raises(IconError, match=says) as refused:
        clean_svg(image)

    assert refused.value.mend


def test_references_within_bounds_are_kept() -> None:
    assert clean_svg(multiplied(3)).count(b"<use") == 21


def test_the_largest_that_is_taken_takes_little_time() -> None:
    deep = "<g>" * (MAX_DEPTH - 2) + "<path d='M0 0' id='p'/>" * (MAX_ELEMENTS - MAX_DEPTH) + "</g>" * (MAX_DEPTH - 2)
    started = time.perf_counter()

    clean_svg(svg(deep))

    assert time.perf_counter() - started < 5
