"""The threat model names tests: each of them is there, and each threat has one."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest

REPOSITORY: Final = Path(__file__).parents[3]
PAGE: Final = (REPOSITORY / "docs" / "security.md").read_text()
NAMED: Final = sorted(set(re.findall(r"`((?:unit|integration|e2e|fuzz|soak)/[a-z0-9_/]+\.py::\w+)`", PAGE)))
THREATS: Final = [line for line in PAGE.partition("## Threats")[2].splitlines() if re.match(r"\| (?!threat|---)", line)]


@cache
def functions_of(path: str) -> frozenset[str]:
    file = REPOSITORY / "tests" / path
    if not file.exists():
        return frozenset()
    return frozenset(
        node.name
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


@pytest.mark.parametrize("test", NAMED)
def test_a_named_test_exists(test: str) -> None:
    path, _, name = test.partition("::")
    assert name in functions_of(path), f"docs/security.md names {test}, which does not exist"


@pytest.mark.parametrize("threat", THREATS, ids=lambda line: line[2:50])
def test_a_threat_has_a_defence_and_a_test(threat: str) -> None:
    cells = [cell.strip() for cell in threat.strip("|").split(" | ")]
    assert len(cells) == 3
    assert all(cells)
    assert "::" in cells[2]


def test_the_page_is_read() -> None:
    assert len(NAMED) > 50
    assert len(THREATS) > 40
