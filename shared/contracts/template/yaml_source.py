"""From text to plain data, with the line and column of everything in it.

Reads YAML 1.2 and JSON, event by event and with bounds, so that no text can cost more than its size.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

import yaml

from shared.contracts.template.plain import (
    MAX_DEPTH,
    MAX_NODES,
    MAX_TEMPLATE_BYTES,
    too_deep,
    too_large,
    too_many_values,
)
from shared.contracts.template.problems import Problem, escape, parent, shown
from shared.contracts.template.scalars import plain_scalar
from shared.contracts.template.syntax import syntax_problem

MAX_PROBLEMS: Final = 100
PLAIN_TAGS: Final = frozenset({None, "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")

_Mark = tuple[int, int]


class SourceError(Exception):
    """A text that is no document; `problems` holds at least one."""

    def __init__(self, name: str, problems: list[Problem]) -> None:
        super().__init__(f"{name}: {problems[0]}")
        self.name = name
        self.problems = problems


@dataclass(frozen=True)
class Source:
    """A document and where each part of it stands."""

    name: str
    document: Any
    marks: Mapping[str, _Mark] = field(repr=False)

    def position(self, pointer: str) -> _Mark | None:
        """Line and column, from 1, of a JSON pointer, or of the nearest part above it that the text holds."""
        while pointer and pointer not in self.marks:
            pointer = parent(pointer)
        return self.marks.get(pointer)


def parse_source(data: bytes | str, *, name: str = "template") -> Source:
    """Read one YAML or JSON document. Raises SourceError; `name` stands in its message."""
    text = _decoded(data, name)
    # JSON writes characters beyond the basic plane as two escapes, which YAML refuses; libyaml reads stand-ins of the
    # same length for the positions, and the JSON reader the values.
    readable = _SURROGATE.sub(r"\\u0041", text) if text.lstrip().startswith("{") else text
    builder = _Builder(name)
    builder.read(readable)
    document = builder.document if readable == text else _json(text, name)
    return Source(name, document, builder.marks)


def _decoded(data: bytes | str, name: str) -> str:
    if len(data) > MAX_TEMPLATE_BYTES:
        raise SourceError(name, [too_large(len(data))])
    try:
        encoded = data.encode() if isinstance(data, str) else data
        text = encoded.decode("utf-8-sig")
    except UnicodeEncodeError:
        problem = Problem("", "The text holds half of a surrogate pair.", "Write the whole character.")
        raise SourceError(name, [problem]) from None
    except UnicodeDecodeError as error:
        problem = Problem(
            "",
            f"The text is not UTF-8: byte {error.start} cannot be read.",
            "Save the file in UTF-8.",
            line=data.count(b"\n", 0, error.start) + 1 if isinstance(data, bytes) else None,
        )
        raise SourceError(name, [problem]) from None
    if len(encoded) > MAX_TEMPLATE_BYTES:
        raise SourceError(name, [too_large(len(encoded))])
    return text


def _json(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        problem = Problem(
            "",
            "An escape like \\ud83d stands in a text that is not JSON.",
            "Write the character itself, or \\U0001F600.",
        )
        raise SourceError(name, [problem]) from None


@dataclass(slots=True)
class _Frame:
    """A list or mapping that is being read."""

    value: Any
    path: str
    depth: int
    mark: _Mark
    anchor: str | None
    nodes: int = 1
    characters: int = 0
    height: int = 0
    key: str | None = None
    key_mark: _Mark = (1, 1)


@dataclass(frozen=True, slots=True)
class _Anchored:
    """A finished value that aliases may repeat, and what a repetition adds."""

    value: Any
    nodes: int
    characters: int
    height: int


class _Builder:
    """Builds the document from the parser's events, one at a time and without recursion."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.document: Any = None
        self.marks: dict[str, _Mark] = {}
        self.problems: list[Problem] = []
        self._stack: list[_Frame] = []
        self._anchors: dict[str, _Anchored | None] = {}
        self._documents = 0

    def read(self, text: str) -> None:
        try:
            for event in yaml.parse(text, Loader=yaml.CSafeLoader):
                self._take(event)
        except yaml.YAMLError as error:
            self.problems.append(syntax_problem(error, text))
        if self._documents == 0 and not self.problems:
            self.problems.append(_EMPTY)
        if self.problems:
            raise SourceError(self.name, self.problems[:MAX_PROBLEMS])

    def _take(self, event: Any) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._stop("", "There is more than one document.", "Take out `---` and what follows.", _mark(event))
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.AliasEvent():
                self._alias(event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._open(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._close()
            case _:
                pass

    def _scalar(self, event: Any) -> None:
        self._check_tag(event)
        written_plain = event.implicit[0]
        value = plain_scalar(event.value) if written_plain else event.value
        if not self._stack and value is None:
            self._stop("", _EMPTY.problem, _EMPTY.mend, _mark(event))
        if self._expects_key():
            self._key(value, _mark(event))
            return
        self._place(_Anchored(value, 1, len(event.value) + 1, 0), _mark(event))
        if event.anchor:
            self._anchors[event.anchor] = _Anchored(value, 1, len(event.value) + 1, 0)

    def _alias(self, event: Any) -> None:
        anchored = self._anchors.get(event.anchor)
        if anchored is None:
            known = event.anchor in self._anchors
            why = "stands inside what it repeats" if known else "has no anchor before it"
            self._stop(self._next_path(), f"The alias *{event.anchor} {why}.", "Write the value out.", _mark(event))
        if self._expects_key():
            self._stop(self._next_path(), "An alias cannot be a name.", "Write the name out.", _mark(event))
        self._place(anchored, _mark(event))

    def _open(self, event: Any) -> None:
        self._check_tag(event)
        if self._expects_key():
            self._stop(self._next_path(), "A list or mapping cannot be a name.", "Write a simple name.", _mark(event))
        depth = self._stack[-1].depth + 1 if self._stack else 0
        path = self._next_path()
        if depth > MAX_DEPTH:
            self._stop_with(too_deep(path), _mark(event))
        self._remember(path, _mark(event))
        value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        if event.anchor:
            self._anchors[event.anchor] = None
        self._stack.append(_Frame(value, path, depth, _mark(event), event.anchor))

    def _close(self) -> None:
        frame = self._stack.pop()
        whole = _Anchored(frame.value, frame.nodes, frame.characters, frame.height)
        if frame.anchor:
            self._anchors[frame.anchor] = whole
        self._place(whole, frame.mark)

    def _place(self, item: _Anchored, mark: _Mark) -> None:
        """Put a finished value into the list or mapping that is being read."""
        if not self._stack:
            self.document = item.value
            self.marks.setdefault("", mark)
            return
        frame = self._stack[-1]
        path = self._next_path()
        self._remember(path, mark)
        if isinstance(frame.value, dict):
            frame.value[frame.key] = item.value
            frame.key = None
        else:
            frame.value.append(item.value)
        frame.nodes += item.nodes
        frame.characters += item.characters
        frame.height = max(frame.height, item.height + 1)
        if frame.nodes > MAX_NODES:
            self._stop_with(too_many_values(), mark)
        if frame.characters > MAX_TEMPLATE_BYTES:
            self._stop_with(too_large(None), mark)
        if frame.depth + item.height + 1 > MAX_DEPTH + 1:
            self._stop_with(too_deep(path), mark)

    def _key(self, key: object, mark: _Mark) -> None:
        frame = self._stack[-1]
        path = f"{frame.path}/{escape(str(key))}"
        if not isinstance(key, str):
            self._note(path, f"The name {shown(key)} is not text.", f'Put it in quotes: "{shown(key)}".', mark)
            key = str(key)
        if key == "<<":
            self._note(path, "Merge keys (`<<`) are not part of YAML 1.2.", "Write the fields out.", mark)
        elif key in frame.value:
            first = self.marks.get(path, mark)
            self._note(
                path, f"{shown(key)} stands here twice; the first is at line {first[0]}.", "Keep one of them.", mark
            )
        frame.key, frame.key_mark = key, mark
        frame.characters += len(key)

    def _expects_key(self) -> bool:
        return bool(self._stack) and isinstance(self._stack[-1].value, dict) and self._stack[-1].key is None

    def _next_path(self) -> str:
        if not self._stack:
            return ""
        frame = self._stack[-1]
        if isinstance(frame.value, list):
            return f"{frame.path}/{len(frame.value)}"
        return frame.path if frame.key is None else f"{frame.path}/{escape(frame.key)}"

    def _remember(self, path: str, mark: _Mark) -> None:
        """An entry of a mapping stands where its name does."""
        in_mapping = self._stack and isinstance(self._stack[-1].value, dict)
        self.marks.setdefault(path, self._stack[-1].key_mark if in_mapping else mark)

    def _check_tag(self, event: Any) -> None:
        if event.tag not in PLAIN_TAGS:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._note(self._next_path(), f"The tag {shown(tag)} is not allowed.", "Take the tag out.", _mark(event))

    def _note(self, path: str, problem: str, mend: str, mark: _Mark) -> None:
        self.problems.append(Problem(path, problem, mend, *mark))
        if len(self.problems) >= MAX_PROBLEMS:
            raise SourceError(self.name, self.problems)

    def _stop(self, path: str, problem: str, mend: str, mark: _Mark) -> NoReturn:
        self._stop_with(Problem(path, problem, mend), mark)

    def _stop_with(self, problem: Problem, mark: _Mark) -> NoReturn:
        placed = Problem(problem.path, problem.problem, problem.mend, *mark)
        raise SourceError(self.name, [*self.problems, placed])


_EMPTY: Final = Problem("", "The document is empty.", "Write at least name, base_url and auth_type.")


def _mark(event: Any) -> _Mark:
    return event.start_mark.line + 1, event.start_mark.column + 1
