"""How much an SVG draws once its references are followed: a few lines can stand for billions of shapes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from shared.contracts.template.data_urls import IconError

MAX_DRAWN: Final = 50_000
MAX_CHAIN: Final = 16
_REFERENCE: Final = re.compile(r"(?:\A|url\(\s*[\"']?)#([^\s\"')]+)", re.IGNORECASE)


@dataclass(frozen=True, eq=False, slots=True)
class Element:
    """An element: the one around it, its id, and the values of all its attributes."""

    parent: Element | None
    identifier: str | None
    values: Sequence[str]

    def references(self) -> Iterator[str]:
        for value in self.values:
            for match in _REFERENCE.finditer(value):
                yield match[1]


def require_few_drawn(elements: Sequence[Element]) -> None:
    """IconError where references go in a circle, or make more than `MAX_DRAWN` elements of those that there are."""
    named = {element.identifier for element in elements if element.identifier}
    size: dict[str | None, int] = {}
    uses: dict[str | None, list[str]] = {}
    for element in elements:
        targets = [target for target in element.references() if target in named]
        for holder in _holders(element):
            size[holder] = size.get(holder, 0) + 1
            uses.setdefault(holder, []).extend(targets)
    if _drawn(None, size, uses, {}, ()) > MAX_DRAWN:
        raise _too_much()


def _holders(element: Element) -> Iterator[str | None]:
    """The ids under which an element is drawn when they are referred to; None stands for the whole drawing."""
    yield None
    around: Element | None = element
    while around is not None:
        if around.identifier:
            yield around.identifier
        around = around.parent


def _drawn(
    name: str | None,
    size: dict[str | None, int],
    uses: dict[str | None, list[str]],
    known: dict[str | None, int],
    chain: tuple[str | None, ...],
) -> int:
    """How many elements a reference to `name` draws."""
    if name in known:
        return known[name]
    if name in chain or len(chain) > MAX_CHAIN:
        raise _too_much()
    total = size.get(name, 0)
    for target in uses.get(name, ()):
        total += _drawn(target, size, uses, known, (*chain, name))
        if total > MAX_DRAWN:
            raise _too_much()
    known[name] = total
    return total


def _too_much() -> IconError:
    return IconError(
        "The SVG's references draw too much: they go in a circle, or multiply what they refer to.",
        "Draw each shape where it stands, or use a PNG of 64x64.",
    )
