"""Inputs that are nearly right: valid ones with something cut, doubled, swapped or put in."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any, Final

from hypothesis import strategies as st

NASTY: Final = (
    b"\0",
    b"\r\n",
    b"\n\n",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"../",
    b"%2e%2e%2f",
    b"%00",
    b"{{",
    b"}}",
    b"[[[[[[[[",
    b'"',
    b"\\",
    b"\\ud800",
    b"'",
    b":",
    b"&a ",
    b"*a",
    b"<<: ",
    b"!!python/object ",
    b"---\n",
    b"\t",
    b"-1",
    b"1e999",
    b"9" * 400,
    b"NaN",
    b"null",
    b"true",
    b"A" * 3000,
    b"@",
    b"#",
    b"?",
    b"//",
    b"\\\\",
    b"http://[::1%25eth0]/",
    b"javascript:",
    b"{x}",
    b"..",
    b"=",
    b".",
)
any_text: Final = st.text(st.characters(codec=None), max_size=20)
nasty_text: Final = any_text | st.sampled_from(NASTY).map(lambda data: data.decode("utf-8", "surrogateescape"))
any_json: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | nasty_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(nasty_text, inner, max_size=4),
    max_leaves=12,
)


@st.composite
def mutated(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """A seed with up to eight changes; now and then just bytes."""
    if draw(st.integers(0, 19)) == 0:
        return draw(st.binary(max_size=200))
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 8))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 40)))
        piece = data[start:end]
        match draw(st.integers(0, 5)):
            case 0:
                data = data[:start] + data[end:]
            case 1:
                data = data[:end] + piece * draw(st.integers(1, 5)) + data[end:]
            case 2:
                data = data[:start] + draw(st.sampled_from(NASTY)) + data[start:]
            case 3:
                data = data[:start] + draw(st.binary(min_size=1, max_size=4)) + data[end:]
            case 4:
                data = data[:start] + piece[::-1] + data[end:]
            case _:
                other = draw(st.sampled_from(seeds))
                data = data[:start] + other[draw(st.integers(0, len(other))) :]
    return data


@st.composite
def changed(draw: st.DrawFn, seeds: Sequence[Any]) -> Any:
    """A JSON document with up to four of its parts replaced, moved, doubled or taken out."""
    document = copy.deepcopy(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 4))):
        places = list(_places(document))
        if not places:
            return document
        holder, key = draw(st.sampled_from(places))
        match draw(st.integers(0, 3)):
            case 0:
                holder[key] = draw(any_json)
            case 1:
                del holder[key]
            case 2:
                other, from_ = draw(st.sampled_from(places))
                holder[key] = copy.deepcopy(other[from_])
            case _ if isinstance(holder, dict):
                holder[draw(nasty_text)] = copy.deepcopy(holder[key])
            case _:
                holder.append(copy.deepcopy(holder[key]))
    return document


def as_bytes(documents: Sequence[Any]) -> list[bytes]:
    return [json.dumps(document).encode() for document in documents]


def _places(value: Any) -> Any:
    """Every place of a document, as its holder and the key or index there."""
    pending = [value]
    while pending:
        holder = pending.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
        for key in keys:
            yield holder, key
            pending.append(holder[key])
