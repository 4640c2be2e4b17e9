"""JavaScript modules and style sheets as a browser gets them: each page's modules in one file, in the order they need.

The sources stay small files that import each other by name. A page would ask for each of them in a request of its own;
joined, they are one. Modules keep to what this can join: `import { a, b } from "./other.js"`, `export` before a
declaration, top-level names that no two modules share, and template literals of one line. Comments and indentation are
left out of what is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

_IMPORT: Final = re.compile(r'^import \{[^}]*\} from "(\./[\w./-]+\.js|\.\./[\w./-]+\.js)";\n', re.MULTILINE)
_VENDOR: Final = re.compile(r'^(import \w+ from )"(vendor/[\w.-]+)";', re.MULTILINE)
_OTHER_IMPORT: Final = re.compile(r"^import .*$", re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=(?:async function|function|const|let|class) )", re.MULTILINE)
_DECLARED: Final = re.compile(r"^(?:async function|function|const|let|class) (\w+)", re.MULTILINE)
_COMMENT: Final = re.compile(r"^\s*(?://[^\n]*|/\*\*.*?\*/)\n", re.MULTILINE | re.DOTALL)
_LONG_TEXT: Final = re.compile(r"^[^`\n]*`(?:[^`\n]*`[^`\n]*`)*[^`\n]*$", re.MULTILINE)
_INDENT: Final = re.compile(r"^[ \t]+", re.MULTILINE)
_CSS_URL: Final = re.compile(r'url\("(vendor/[\w.-]+)"\)')


class LinkError(ValueError):
    """Sources that cannot be joined, with the file and what to change."""


def link_modules(entry: Path, address: Callable[[str], str]) -> str:
    """`entry` and all that it imports as one module; `address` is where a file of `vendor/` is served."""
    vendored: list[str] = []
    bodies: list[str] = []
    names: dict[str, Path] = {}
    for path in _in_order(entry, []):
        source = _IMPORT.sub("", path.read_text())
        for found in _VENDOR.finditer(source):
            statement = f'{found[1]}"{address(found[2])}";'
            if statement not in vendored:
                vendored.append(statement)
        source = _VENDOR.sub("", source)
        if (left := _OTHER_IMPORT.search(source)) is not None:
            raise LinkError(f"{path.name}: {left[0]!r} is an import of a form that cannot be joined")
        if _LONG_TEXT.search(source) is not None:
            raise LinkError(f"{path.name}: a template literal goes over several lines; write it in one")
        source = _EXPORT.sub("", source)
        for name in _DECLARED.findall(source):
            if name in names:
                raise LinkError(f"{path.name}: {name} is declared in {names[name].name} too; give it another name")
            names[name] = path
        bodies.append(_INDENT.sub("", _COMMENT.sub("", source)).strip())
    return "\n".join([*vendored, *bodies]) + "\n"


def link_styles(files: list[Path], address: Callable[[str], str]) -> str:
    """Style sheets one after the other."""
    joined = "\n".join(path.read_text() for path in files)
    return _CSS_URL.sub(lambda found: f'url("{address(found[1])}")', joined)


def _in_order(path: Path, above: list[Path]) -> Iterator[Path]:
    """A module after all that it imports, each once."""
    seen: set[Path] = set()

    def visit(one: Path, above: list[Path]) -> Iterator[Path]:
        if one in above:
            raise LinkError(f"{one.name} and {above[-1].name} import each other")
        if one in seen:
            return
        seen.add(one)
        for name in _IMPORT.findall(one.read_text()):
            yield from visit((one.parent / name).resolve(), [*above, one])
        yield one

    yield from visit(path.resolve(), above)
