"""Echoes: a connection's credentials that come back in a response. Whoever may execute may not read them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from shared.security.redaction import REDACTED, SHORTEST_IN_BODY, forms, hide_bytes, needles

_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')


class Hidden(msgspec.Struct, frozen=True, gc=False):
    """What a reply must not hold: `texts` in headers, `needles` in bodies, where short ones are left."""

    texts: tuple[str, ...] = ()
    needles: tuple[bytes, ...] = ()

    def __repr__(self) -> str:
        """Tell no secret."""
        return "Hidden()"

    @classmethod
    def of(cls, secrets: Iterable[str]) -> Hidden:
        given = tuple(secrets)
        return cls(tuple(form for secret in given for form in forms(secret)), needles(given, SHORTEST_IN_BODY))

    def stands_in(self, data: bytes) -> bool:
        return any(needle in data for needle in self.needles)


NOTHING_HIDDEN: Final = Hidden()


def in_headers(headers: dict[str, str], hidden: Hidden) -> dict[str, str]:
    """`headers` without what is hidden, changed in place."""
    if hidden.texts:
        together = "\n".join(headers.values())
        for text in hidden.texts:
            if text in together:
                for name, value in headers.items():
                    headers[name] = value.replace(text, REDACTED)
    return headers


def in_bytes(data: bytes, hidden: Hidden) -> bytes:
    return hide_bytes(data, hidden.needles)


def in_json(text: bytes, hidden: Hidden) -> bytes:
    """Valid JSON without what is hidden in its strings and names; all else stays as it was written."""

    def shown(match: re.Match[bytes]) -> bytes:
        token = match[0]
        if not hidden.stands_in(token):
            return token
        value = in_bytes(msgspec.json.decode(token, type=str).encode(), hidden)
        return msgspec.json.encode(value.decode())

    return _STRING.sub(shown, text)
