"""SVG icons: what they may hold is listed, all else is left out.

An SVG is read as XML first, which bounds its size, depth and references and refuses declarations; nh3 then keeps
the listed elements and attributes, and a filter keeps the values that draw and lead nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from xml.parsers import expat

import nh3

from shared.contracts.icons.references import Element, require_few_drawn
from shared.contracts.template.data_urls import IconError

NAMESPACE: Final = "http://www.w3.org/2000/svg"
_XLINK: Final = "http://www.w3.org/1999/xlink"
_NAMESPACES: Final = {"xmlns": NAMESPACE, "xlink": _XLINK, "xmlns:xlink": _XLINK}
MAX_DEPTH: Final = 32
MAX_ELEMENTS: Final = 5_000
_PLAIN: Final = "Export it as plain SVG, or use a PNG of 64x64."


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ELEMENTS: Final = _words(
    "svg g defs symbol use path rect circle ellipse line polyline polygon text tspan "
    "linearGradient radialGradient stop clipPath mask"
)
LEFT_OUT_WITH_CONTENT: Final = _words(
    "script style foreignObject foreignobject title desc metadata image animate set iframe object embed "
    "audio video canvas link filter pattern marker handler listener"
)
"""Of all others that are not listed, the content stays."""
STYLES: Final = _words(
    "fill fill-opacity fill-rule stroke stroke-width stroke-opacity stroke-linecap stroke-linejoin stroke-miterlimit "
    "stroke-dasharray stroke-dashoffset stop-color stop-opacity color opacity display visibility clip-path clip-rule "
    "mask font-family font-size font-style font-weight letter-spacing text-anchor dominant-baseline vector-effect "
    "paint-order shape-rendering"
)
ATTRIBUTES: Final = STYLES | _words(
    "xmlns id class style x y x1 y1 x2 y2 dx dy cx cy r rx ry fx fy fr d points width height viewBox version "
    "preserveAspectRatio transform gradientTransform gradientUnits spreadMethod offset clipPathUnits maskUnits "
    "maskContentUnits pathLength href xlink:href"
)
_OWN_ID: Final = re.compile(r"#[A-Za-z_][\w.:-]*\Z")
_URL: Final = re.compile(r"url\(\s*[\"']?#[A-Za-z_][\w.:-]*[\"']?\s*\)", re.IGNORECASE)
_VALUE: Final = re.compile(r"[\w\s#.,:;%()+\-'\"!]*\Z")
"""What a value is written with: no backslash, slash, `@`, `&` or `<`, by which style sheets reach further."""
_REACHES_OUT: Final = re.compile(r"url\s*\(|image|expression|script|data\s*:", re.IGNORECASE)
_HTML_SPACE: Final = "&nbsp;"
"""HTML's name of U+00A0, which XML does not know."""


def clean_svg(image: bytes) -> bytes:
    """The drawing alone, as UTF-8; IconError for what is no SVG, is out of bounds or holds declarations."""
    try:
        text = image.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise IconError("The SVG is not UTF-8.", "Save it as UTF-8.") from None
    start = _read(text)
    clean = _CLEANER.clean(text.encode()[start:].decode()).replace(_HTML_SPACE, "&#160;").strip()
    try:
        _read(clean)
    except IconError as error:
        raise IconError("The SVG holds more than a drawing, and nothing is left that can be shown.", _PLAIN) from error
    return clean.encode()


def _keep(_element: str, attribute: str, value: str) -> str | None:
    """An attribute's value where it draws, None where it leads anywhere but into the drawing itself."""
    if attribute in _NAMESPACES:
        return value if value == _NAMESPACES[attribute] else None
    if attribute in {"href", "xlink:href"}:
        return value if _OWN_ID.match(value) else None
    rest = _URL.sub("", value)
    return value if _VALUE.match(rest) and not _REACHES_OUT.search(rest) else None


_CLEANER: Final = nh3.Cleaner(
    tags=set(ELEMENTS),
    clean_content_tags=set(LEFT_OUT_WITH_CONTENT),
    attributes={"*": set(ATTRIBUTES)},
    attribute_filter=_keep,
    filter_style_properties=set(STYLES),
    set_tag_attribute_values={"svg": {"xmlns:xlink": _XLINK}},
    url_schemes=set(),
    generic_attribute_prefixes=set(),
    link_rel=None,
    strip_comments=True,
)


def _read(text: str) -> int:
    """Where the drawing begins, in bytes; IconError unless it is one SVG within bounds and without declarations."""
    reader = _Reader()
    try:
        reader.parser.Parse(text, True)
    except expat.ExpatError as error:
        raise IconError(
            f"The SVG is not well-formed: {expat.ErrorString(error.code)} in line {error.lineno}.", _PLAIN
        ) from None
    require_few_drawn(reader.elements)
    return reader.start


class _Reader:
    """Counts while it reads, so that nothing large is ever built."""

    def __init__(self) -> None:
        self.elements: list[Element] = []
        self.start = 0
        self._open: list[Element] = []
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartElementHandler = self._begin
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.EntityDeclHandler = self._entity

    def _begin(self, name: str, attributes: Mapping[str, str]) -> None:
        if not self.elements:
            self.start = self.parser.CurrentByteIndex
            if name != f"{NAMESPACE} svg":
                raise IconError(
                    f"The SVG's first element is not <svg xmlns={NAMESPACE!r}>.",
                    "Write the namespace at the first element, without a prefix.",
                )
        element = Element(
            parent=self._open[-1] if self._open else None,
            identifier=attributes.get("id"),
            values=tuple(attributes.values()),
        )
        self.elements.append(element)
        self._open.append(element)
        if len(self._open) > MAX_DEPTH or len(self.elements) > MAX_ELEMENTS:
            raise IconError(
                f"The SVG has more than {MAX_ELEMENTS:,} elements, or more than {MAX_DEPTH} one within the other.",
                "Simplify the drawing, or use a PNG of 64x64.",
            )

    def _end(self, _name: str) -> None:
        self._open.pop()

    def _doctype(self, _name: str, _system: str | None, _public: str | None, has_declarations: int) -> None:
        if has_declarations:
            raise IconError("The SVG declares entities or types of its own.", _PLAIN)

    def _entity(self, *_declared: object) -> None:
        raise IconError("The SVG declares entities or types of its own.", _PLAIN)
