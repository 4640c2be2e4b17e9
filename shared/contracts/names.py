"""Names: what may stand in a subject, and which known name is nearest to a mistyped one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from itertools import islice
from typing import Final

from shared.contracts.errors import DibopError

TOKEN_PATTERN: Final = r"^[a-z][a-z0-9_-]{0,62}$"
SLUG_PATTERN: Final = r"^[a-z][a-z0-9-]{0,62}$"
PLATFORM: Final = "platform"
"""The enterprise of what belongs to all; no real enterprise may carry this name."""

_COMPARED: Final = 200
_COMPARED_CHARACTERS: Final = 128
_LENGTHS_APART: Final = 3

_TOKEN: Final = re.compile(TOKEN_PATTERN.removesuffix("$") + r"\Z")
_SLUG: Final = re.compile(SLUG_PATTERN.removesuffix("$") + r"\Z")


def is_token(text: str) -> bool:
    """True for enterprise ids, nouns, operation and connection names: one subject token."""
    return _TOKEN.match(text) is not None


def is_slug(text: str) -> bool:
    """True for connector slugs."""
    return _SLUG.match(text) is not None


def require_slug(slug: str) -> str:
    """Return `slug`, or refuse it with the rule it breaks."""
    if not is_slug(slug):
        raise DibopError(
            "invalid-request",
            f"{slug[:80]!r} is not a slug: it starts with a letter a-z and goes on with "
            "at most 62 of a-z, 0-9 and '-'.",
        )
    return slug


def require_token(text: str, what: str) -> str:
    """Return `text`, or refuse it with the rule it breaks; `what` names it in the message."""
    if not is_token(text):
        raise DibopError(
            "invalid-request",
            f"{text[:80]!r} is not a {what}: it starts with a letter a-z and goes on with at most 62 of "
            "a-z, 0-9, '_' and '-'.",
        )
    return text


def nearest(name: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """The known names that look most like `name`, best first; none where nothing is close.

    Of very many names those alone are compared that begin alike and are about as long: it takes a millisecond or so.
    """
    name, names = name[:_COMPARED_CHARACTERS], sorted(known)
    if len(names) > _COMPARED:
        start, length = name[:1], len(name)
        alike = (each for each in names if each[:1] == start and abs(len(each) - length) <= _LENGTHS_APART)
        names = list(islice(alike, _COMPARED))
    return difflib.get_close_matches(name, names, n=limit, cutoff=0.6)


def did_you_mean(name: str, known: Iterable[str], noun: str) -> str:
    """A sentence for an error about an unknown name: the nearest names, else a few of those there are."""
    names = sorted(known)
    close = nearest(name, names)
    if close:
        return f"Did you mean {' or '.join(repr(n) for n in close)}?"
    if not names:
        return f"There is no {noun} yet."
    shown = ", ".join(each[:_COMPARED_CHARACTERS] for each in names[:10])
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"There is: {shown}{more}."
