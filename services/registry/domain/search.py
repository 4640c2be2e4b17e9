"""Finding connectors: the words of a document, the words of a question, and where a page of the answer ends."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from shared.contracts.commands import ConnectorRow, ConnectorSort, ConnectorState, ListConnectors
from shared.contracts.errors import DibopError
from shared.contracts.unreadable import UNREADABLE

MAX_WORDS: Final = 20_000
MAX_CHARACTERS: Final = 300_000
MAX_WORD: Final = 64
_WORD: Final = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """Runs of letters and digits as they are compared: without case, accents and width; at most 64 characters each."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(each for each in plain if not unicodedata.combining(each))
    return [word[:MAX_WORD] for word in _WORD.findall(bare)]


def words_of(slug: str, document: Mapping[str, Any]) -> str:
    """What a connector is found by: the words of slug, name, type, description and operations, each once."""
    found: dict[str, None] = {}
    size = 0
    for text in _texts(slug, document):
        for word in words(text):
            if word not in found:
                size += len(word) + 1
                if len(found) >= MAX_WORDS or size > MAX_CHARACTERS:
                    return " ".join(found)
                found[word] = None
    return " ".join(found)


def _texts(slug: str, document: Mapping[str, Any]) -> Iterator[str]:
    """Also of a document that is not valid."""
    yield slug
    yield from _strings(document, "name", "type", "description")
    operations = document.get("operations")
    for operation in operations if isinstance(operations, list) else ():
        if isinstance(operation, dict):
            yield from _strings(operation, "operation", "display_name", "description")


def _strings(mapping: Mapping[str, Any], *names: str) -> Iterator[str]:
    for name in names:
        value = mapping.get(name)
        if isinstance(value, str):
            yield value


@dataclass(frozen=True, slots=True)
class Question:
    """Which connectors a list asks for.

    `words` are beginnings of words that all must be there; None asks for every connector. `after` is the value that
    the last row of the page before was sorted by, and its slug.
    """

    words: tuple[str, ...] | None = None
    type: str | None = None
    state: ConnectorState | None = None
    sort: ConnectorSort = "slug"
    descending: bool = False
    after: tuple[str, str] | None = None


def question(query: ListConnectors) -> Question:
    """What a command asks; `invalid-request` where `after` is of another list."""
    text = (query.search or "").strip()
    return Question(
        words=tuple(dict.fromkeys(words(text))) if text else None,
        type=query.type,
        state=query.state,
        sort=query.sort,
        descending=query.descending,
        after=_read(query.after, query.sort) if query.after is not None else None,
    )


def sorted_by(row: ConnectorRow, sort: ConnectorSort) -> str:
    """The value that a row stands in order by."""
    match sort:
        case "slug":
            return row.slug
        case "name":
            return row.name.casefold()
        case "type":
            return row.type
        case "state":
            return row.state
        case "changed":
            return row.changed_at


def cursor(row: ConnectorRow, sort: ConnectorSort) -> str:
    """What asks for the rows after `row`: its slug, or a text that means nothing to the caller."""
    if sort == "slug":
        return row.slug
    return base64.urlsafe_b64encode(msgspec.json.encode([sort, sorted_by(row, sort), row.slug])).decode()


def _read(after: str, sort: ConnectorSort) -> tuple[str, str]:
    if sort == "slug":
        return after, after
    try:
        kind, value, slug = msgspec.json.decode(base64.urlsafe_b64decode(after), type=tuple[str, str, str])
    except (*UNREADABLE, ValueError, binascii.Error):
        kind, value, slug = "", "", ""
    if kind != sort or "\0" in value + slug:
        raise DibopError(
            "invalid-request",
            f"`after` does not belong to a list sorted by {sort}. Send `next_after` of the page before with the same "
            "`sort`, or leave it out to begin again.",
        )
    return value, slug
