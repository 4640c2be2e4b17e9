"""Planted secrets, and the search for them in everything that a stack writes, says and keeps.

It knows nothing of how the product hides secrets: its own ways of writing one stand here.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_plus

import psutil
import redis

_TAIL: Final = 4
"""Of a long secret so many of the last characters may be shown."""


@dataclass(frozen=True)
class Plant:
    """A secret, and what it is called when it is found."""

    name: str
    value: str

    @classmethod
    def make(cls, name: str, prefix: str = "", suffix: str = "") -> Plant:
        """One that stands nowhere by chance."""
        return cls(name, f"{prefix}{secrets.token_hex(12)}{suffix}")

    def forms(self) -> dict[bytes, str]:
        """Every way of writing it that is looked for."""
        raw = self.value.encode()
        return {
            raw: "as it is",
            self.value[:-_TAIL].encode(): "without its tail",
            quote(self.value, safe="").encode(): "percent-encoded",
            quote_plus(self.value).encode(): "as in a form",
            json.dumps(self.value)[1:-1].encode(): "as in JSON",
            json.dumps(json.dumps(self.value))[3:-3].encode(): "as in JSON within JSON",
            raw.hex().encode(): "in hexadecimal",
            raw.hex().upper().encode(): "in hexadecimal",
            self.value.encode("utf-16-le"): "in UTF-16",
            **dict.fromkeys(_in_base64(raw), "in base64"),
        }


@dataclass(frozen=True)
class Finding:
    """Where a secret was found, and how it is written there. It does not say the secret."""

    plant: str
    form: str
    place: str
    around: str

    def __str__(self) -> str:
        return f"{self.plant} {self.form} in {self.place}: …{self.around}…"


class Search:
    """Looks for the plants; `findings` grows. `looked_at` counts bytes, so that a search of nothing is noticed."""

    def __init__(self, plants: Iterable[Plant]) -> None:
        self._needles = [(plant, form, how) for plant in plants for form, how in plant.forms().items()]
        self.findings: list[Finding] = []
        self.looked_at = 0

    def data(self, data: bytes | str, place: str) -> None:
        content = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        self.looked_at += len(content)
        for plant, needle, how in self._needles:
            at = content.find(needle)
            if at >= 0:
                before = content[max(0, at - 60) : at].decode("utf-8", "replace")
                after = content[at + len(needle) :][:20].decode("utf-8", "replace")
                self.findings.append(Finding(plant.name, how, place, f"{before}[HERE]{after}"))

    def files(self, root: Path, *, without: Iterable[Path] = ()) -> None:
        """Every file below `root`, as bytes: databases, streams, logs, state."""
        left_out = tuple(without)
        for path in sorted(root.rglob("*")):
            if path.is_file() and not any(path.is_relative_to(each) for each in left_out):
                self.data(str(path.relative_to(root)), "a file's name")
                self.data(path.read_bytes(), str(path.relative_to(root)))

    def redis(self, url: str) -> None:
        """Every key with what it holds."""
        with redis.Redis.from_url(url, decode_responses=False) as client:
            for key in client.scan_iter(count=1000):
                self.data(key, "a key of Redis")
                for value in _values(client, key):
                    self.data(value, f"Redis, {key.decode(errors='replace')}")

    def process(self, pid: int) -> None:
        """What anybody on the machine, or a crash report, can see of a process."""
        process = psutil.Process(pid)
        self.data("\0".join(process.cmdline()), f"the arguments of {process.name()}")
        for name, value in process.environ().items():
            self.data(f"{name}={value}", f"the environment of {process.name()}, {name}")

    def value(self, value: Any, place: str) -> None:
        """Plain data, as JSON."""
        self.data(json.dumps(value, ensure_ascii=False, default=str), place)

    def each(self, values: Mapping[str, str | bytes]) -> None:
        for place, value in values.items():
            self.data(value, place)

    def assert_nothing_found(self) -> None:
        assert self.looked_at, "there was nothing to look at"
        assert not self.findings, "\n" + "\n".join(map(str, self.findings[:40]))


def _in_base64(raw: bytes) -> Iterator[bytes]:
    """What base64 makes of it wherever it stands in a longer text: three ways to fall into groups of three bytes."""
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + raw)
        # The first and the last group also hold what stands around it.
        inner = whole[4 * (shift > 0) : len(whole) - 4]
        if len(inner) >= 12:
            yield inner
            yield inner.replace(b"+", b"-").replace(b"/", b"_")


def _values(client: Any, key: bytes) -> Iterator[bytes]:
    match client.type(key):
        case b"string":
            yield client.get(key) or b""
        case b"hash":
            for name, value in client.hgetall(key).items():
                yield from (name, value)
        case b"list":
            yield from client.lrange(key, 0, -1)
        case b"set":
            yield from client.smembers(key)
        case b"zset":
            yield from client.zrange(key, 0, -1)
        case other:
            raise AssertionError(f"the search does not know how to read a Redis {other!r}")
