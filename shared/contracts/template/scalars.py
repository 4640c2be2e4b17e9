"""Plain scalars of YAML by the core schema of YAML 1.2.2 (section 10.3.2): `yes`, `on` and dates stay text."""

from __future__ import annotations

import re
from typing import Final

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER: Final = re.compile(r"[-+]?[0-9]+\Z")
_OCTAL: Final = re.compile(r"0o[0-7]+\Z")
_HEXADECIMAL: Final = re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_INFINITY: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z")
_NOT_A_NUMBER: Final = frozenset({".nan", ".NaN", ".NAN"})
_MAX_DIGITS: Final = 1000


def plain_scalar(text: str) -> str | int | float | bool | None:
    """The value of a scalar that is written without quotes.

    Numbers out of all bounds come back as infinity, which no template may hold.
    """
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INFINITY.match(text) or text in _NOT_A_NUMBER:
        return float(text.replace(".", "", 1))
    return _number(text)


def _number(text: str) -> str | int | float:
    for pattern, base in ((_INTEGER, 10), (_OCTAL, 8), (_HEXADECIMAL, 16)):
        if pattern.match(text):
            return int(text, base) if len(text) <= _MAX_DIGITS else float("inf")
    return float(text) if _FLOAT.match(text) else text
