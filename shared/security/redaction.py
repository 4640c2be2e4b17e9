"""Redaction: secrets are taken out of whatever leaves a process, by the field's name, by value and by shape.

By name: what stands in a field that speaks of secrets. By value: the secrets that the work at hand has to do with, as
they are and in the forms that they travel in. By shape: what looks like a secret wherever it turns up, such as a
token or a private key. Each alone has holes; together they leave few.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import asdict, is_dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final, get_args
from urllib.parse import quote, quote_plus

import msgspec
from pydantic import BaseModel

from shared.contracts.errors import ErrorCode

REDACTED: Final = "[redacted]"
SHORTEST: Final = 4
"""Shorter values are not looked for in logs and headers: they stand in too many words by chance."""
SHORTEST_IN_BODY: Final = 8
"""The same for the bodies of replies, which are somebody's data."""

_MOST_AT_HAND: Final = 64
_MOST_DEPTH: Final = 32
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SECRET_WORD: Final = re.compile(
    r"(?:assertion|auth|authorization|bearer|cookies?|cred(?:ential)?s?|jwt|passphrase|passw(?:or)?d|pwd|seal(?:ed)?"
    r"|secrets?|seeds?|signature|tokens?|verifier)\Z"
)
_SECRET_PAIRS: Final = frozenset({("api", "key"), ("private", "key"), ("access", "key"), ("signing", "key")})
_SECRET_NAMES: Final = frozenset({"apikey", "code", "pass"})
_ABOUT_SECRETS: Final = re.compile(
    r"(?:at|bytes|count|endpoint|expire[ds]|fields?|files?|generation|ids?|in|kid|kind|length|method|names?|origin"
    r"|paths?|scopes?|seconds|size|type|ur[il])\Z"
)
"""A name that ends in one of these tells of a secret without being one: `token_file`, `credentials_count`."""
_CODES: Final = frozenset(get_args(ErrorCode))

_at_hand: ContextVar[tuple[str, ...]] = ContextVar("secrets_at_hand", default=())


# ---- the secrets at hand -------------------------------------------------------------------------
def keep_out(secrets: tuple[str, ...]) -> None:
    """From now on, whatever this task says shows none of `secrets`; those of its earlier work are let go."""
    _at_hand.set(secrets)


def keep_out_too(*secrets: str) -> None:
    """Add to what this task must not show; of very many the latest count."""
    known = _at_hand.get()
    new = tuple(secret for secret in secrets if secret not in known)
    if new:
        _at_hand.set((*known, *new)[-_MOST_AT_HAND:])


def at_hand() -> tuple[str, ...]:
    """What this task must not show."""
    return _at_hand.get()


# ---- by value ------------------------------------------------------------------------------------
def forms(secret: str, shortest: int = SHORTEST) -> tuple[str, ...]:
    """The texts in which `secret` may turn up, longest first; none where it is shorter than `shortest`.

    As it is; percent-encoded, as in a query or a form; escaped, as in HTML, Python's repr and JSON (by the servers of
    several languages); base64, standard and URL-safe; hexadecimal.
    """
    if len(secret) < shortest:
        return ()
    raw = secret.encode("utf-8", "surrogatepass")
    encoded = base64.b64encode(raw).decode().rstrip("=")
    found = {
        secret,
        quote(raw, safe=""),
        _lower_escapes(quote(raw, safe="")),
        quote(raw),
        quote_plus(raw),
        *_in_json(secret),
        html.escape(secret),
        repr(secret)[1:-1],
        encoded,
        encoded.replace("+", "-").replace("/", "_"),
        raw.hex(),
        raw.hex().upper(),
    }
    return tuple(sorted((form for form in found if len(form) >= shortest), key=lambda form: (-len(form), form)))


def needles(secrets: Iterable[str], shortest: int = SHORTEST_IN_BODY) -> tuple[bytes, ...]:
    """All forms of `secrets` as UTF-8, for `hide_bytes`, longest first."""
    found = {form.encode("utf-8", "surrogatepass") for secret in secrets for form in forms(secret, shortest)}
    return tuple(sorted(found, key=lambda form: (-len(form), form)))


def hide_bytes(data: bytes, hidden: tuple[bytes, ...]) -> bytes:
    """`data` without the needles; the same object where it holds none, which is quickly seen."""
    for needle in hidden:
        if needle in data:
            data = data.replace(needle, REDACTED.encode())
    return data


def hide(text: str, secrets: Iterable[str] | None = None) -> str:
    """`text` without `secrets` (those at hand, if none are given) in any of their forms, and without secret shapes.

    Halves of surrogate pairs become question marks: nothing that is said can carry them.
    """
    for secret in at_hand() if secrets is None else secrets:
        for form in forms(secret):
            if form in text:
                text = text.replace(form, REDACTED)
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return hide_shapes(text)


def _in_json(secret: str) -> Iterator[str]:
    """Python's and JavaScript's way, PHP's, Go's and .NET's."""
    plain, ascii_only = json.dumps(secret, ensure_ascii=False)[1:-1], json.dumps(secret)[1:-1]
    yield from (plain, ascii_only, ascii_only.replace("/", "\\/"))
    yield re.sub("[<>&]", lambda match: f"\\u{ord(match[0]):04x}", plain)
    yield re.sub(r"[<>&'+`]", lambda match: f"\\u{ord(match[0]):04X}", ascii_only.replace('\\"', "\\u0022"))


def _lower_escapes(text: str) -> str:
    return re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), text)


# ---- by shape ------------------------------------------------------------------------------------
_AROUND: Final = rf"\g<1>{REDACTED}"
_SHAPES: Final[tuple[tuple[str, re.Pattern[str], str], ...]] = (
    # A hint that every match holds, the shape, and what comes in its place.
    ("PRIVATE KEY", re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)", re.DOTALL), REDACTED),
    ("SEED", re.compile(r"-----BEGIN [A-Z ]*SEED-----.*?(?:------?END|\Z)", re.DOTALL), REDACTED),
    ("eyJ", re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)?"), REDACTED),
    ("S", re.compile(r"\bS[AUONCX][A-Z2-7]{56}\b"), REDACTED),
    ("earer ", re.compile(r"(\b[Bb]earer +)(?=[A-Za-z._~+/-]*[0-9])[A-Za-z0-9._~+/-]{8,}=*"), _AROUND),
    ("asic ", re.compile(r"(\b[Bb]asic +)(?=[A-Za-z+/_-]*[0-9=])[A-Za-z0-9+/_-]{8,}=*"), _AROUND),
    ("@", re.compile(r"(\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]*:)[^\s/@]+(?=@)"), _AROUND),
    (
        "=",
        re.compile(
            r"((?:^|[?&;\s\"'])(?:[A-Za-z0-9_.-]*(?:token|secret|password|passwd|api_?key|signature|assertion|verifier)"
            r"|code|sig)=)(?!\[)[^&\s\"'<>;]+",
            re.IGNORECASE,
        ),
        _AROUND,
    ),
)


def hide_shapes(text: str) -> str:
    """`text` without private keys, tokens, seeds, passwords of URLs and query values whose names speak of secrets."""
    for hint, shape, instead in _SHAPES:
        if hint in text:
            text = shape.sub(instead, text)
    return text


def one_line(text: str, most: int) -> str:
    """What another system said, fit for a sentence of ours: printable, on one line, at most `most` characters long."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


# ---- by name -------------------------------------------------------------------------------------
@lru_cache(maxsize=4096)
def names_secret(name: str) -> bool:
    """True for the names of fields, headers and parameters whose values are secrets."""
    words = tuple(word.lower() for word in _WORDS.findall(name))
    if not words or (len(words) > 1 and _ABOUT_SECRETS.match(words[-1])):
        return False
    joined = "".join(words)
    return (
        any(map(_SECRET_WORD.match, words))
        or joined in _SECRET_NAMES
        or any(pair in _SECRET_PAIRS for pair in pairwise(words))
    )


def redacted(value: Any, name: str = "", secrets: Iterable[str] | None = None) -> Any:
    """A copy of `value`, which stands in the field `name`, as it may be shown: plain data without secrets.

    What is neither plain data nor a model or a dataclass becomes its text.
    """
    known = tuple(at_hand() if secrets is None else secrets)
    return _shown(name, value, lambda text: hide(text, known), 0)


def _shown(name: str, value: Any, clean: Callable[[str], str], depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if name and names_secret(name) and not (name == "code" and (isinstance(value, int) or value in _CODES)):
        return REDACTED
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, int | float):
        return value if clean(str(value)) == str(value) else REDACTED
    if depth > _MOST_DEPTH:
        return "…"
    if isinstance(value, bytes | bytearray):
        return clean(bytes(value).decode("utf-8", "backslashreplace"))
    if isinstance(value, Mapping):
        return dict(_entries(value, clean, depth + 1))
    if isinstance(value, list | tuple | set | frozenset):
        return [_shown("", item, clean, depth + 1) for item in value]
    plain = _plain(value)
    return clean(_text(value)) if plain is None else _shown("", plain, clean, depth + 1)


def _entries(value: Mapping[Any, Any], clean: Callable[[str], str], depth: int) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        name = key if isinstance(key, str) else _text(key)
        yield clean(name), _shown(name, item, clean, depth)


def _plain(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else None


def _text(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - what cannot be shown is not worth an error of its own
        return f"<{type(value).__name__}>"
