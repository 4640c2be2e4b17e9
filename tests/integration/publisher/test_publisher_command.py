"""`python -m services.publisher`: what it says, and how it exits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.publisher.app import MIGRATIONS
from tests.integration.publisher.conftest import REPOSITORY
from tests.support.tokens import Tokens

HEAD = max(file.name[:4] for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def run(*arguments: str, **settings: str) -> tuple[int, str]:
    """Exit code and what it said, with these settings alone."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DIBOP_")}
    done = subprocess.run(
        [sys.executable, "-m", "services.publisher", *arguments],
        env={**inherited, **settings},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


def test_migrating_says_from_where_to_where(database_url: str) -> None:
    assert run("migrate", DIBOP_DATABASE_URL=database_url) == (0, f"publisher: revision none to {HEAD}\n")
    assert run("migrate", DIBOP_DATABASE_URL=database_url) == (0, f"publisher: revision {HEAD} to {HEAD}\n")


def test_it_says_all_that_its_settings_lack() -> None:
    code, said = run()

    assert code == 2
    for setting in ("DIBOP_DATABASE_URL", "DIBOP_SERVICE_TOKEN_FILE"):
        assert setting in said


def test_wrong_usage_is_told_apart() -> None:
    assert run("mirgate") == (2, "usage: python -m services.publisher [migrate]\n")


@pytest.mark.parametrize(
    ("url", "words"),
    [("mysql://host/db", "begins with 'mysql'"), ("postgresql+asyncpg://u@127.0.0.1:1/x", "DIBOP_DATABASE_URL")],
)
def test_a_database_that_cannot_be_used_is_named(url: str, words: str) -> None:
    code, said = run("migrate", DIBOP_DATABASE_URL=url)

    assert code == 1
    assert words in said
    assert "Traceback" not in said


def test_it_needs_its_own_token(tokens: Tokens, tmp_path: Path) -> None:
    code, said = run(
        DIBOP_DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path / 'publisher.db'}",
        DIBOP_TOKEN_KEY_FILE=str(tokens.key_file),
        DIBOP_SERVICE_TOKEN_FILE=str(tmp_path / "missing.token"),
    )

    assert code == 1
    assert "DIBOP_SERVICE_TOKEN_FILE" in said
    assert "Traceback" not in said
