"""The search for planted secrets finds them: a search that finds nothing must not be one that cannot."""

from __future__ import annotations

import base64
import gzip
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.secrets import Plant, Search

PLANT = Plant.make("a password", "p&ss/", '"é')


@pytest.mark.parametrize(
    "text",
    [
        f"log line {PLANT.value} more",
        f"Bearer {PLANT.value[:-4]}",
        json.dumps({"a": PLANT.value}),
        json.dumps({"a": json.dumps({"b": PLANT.value})}),
        f"https://x/?q={quote(PLANT.value, safe='')}",
        base64.b64encode(f"ada:{PLANT.value}".encode()).decode(),
        base64.b64encode(f"adam:{PLANT.value}:x".encode()).decode(),
        base64.urlsafe_b64encode(f"addam:{PLANT.value}".encode()).decode(),
        PLANT.value.encode().hex(),
        PLANT.value.encode().hex().upper(),
    ],
)
def test_it_finds_a_secret_however_it_is_written(text: str) -> None:
    search = Search([PLANT])
    search.data(f"before {text} after", "a log")

    assert search.findings
    assert {finding.plant for finding in search.findings} == {"a password"}
    assert PLANT.value not in str(search.findings[0])
    with pytest.raises(AssertionError, match="a password"):
        search.assert_nothing_found()


@pytest.mark.parametrize("text", ["", "nothing", PLANT.value[-4:], PLANT.value[:6]])
def test_it_finds_nothing_where_there_is_nothing(text: str) -> None:
    search = Search([PLANT])
    search.data(f"before {text} after", "a log")

    search.assert_nothing_found()


def test_a_search_of_nothing_fails() -> None:
    with pytest.raises(AssertionError, match="nothing to look at"):
        Search([PLANT]).assert_nothing_found()


def test_it_looks_into_databases_and_leaves_out_key_files(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "ring.json").write_text(PLANT.value)
    (tmp_path / "data").mkdir()
    with sqlite3.connect(tmp_path / "data" / "x.db") as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE t (v TEXT)")
        database.execute("INSERT INTO t VALUES (?)", (PLANT.value,))
        database.commit()
        search = Search([PLANT])
        search.files(tmp_path, without=[tmp_path / "keys"])
    database.close()

    assert {finding.place.split("/")[0] for finding in search.findings} == {"data"}


def test_what_is_compressed_is_not_seen() -> None:
    """Said here so that nobody turns compression of streams on without teaching the search."""
    search = Search([PLANT])
    search.data(gzip.compress(PLANT.value.encode() * 10), "a stream")

    assert not search.findings


def test_it_looks_at_arguments_and_environment() -> None:
    plant = Plant.make("a token")
    process = subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()", plant.value],
        env={**os.environ, "SOME_VARIABLE": plant.value},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        search = Search([plant])
        search.process(process.pid)
    finally:
        process.communicate(b"\n")

    assert any("arguments" in finding.place for finding in search.findings)
    assert any("SOME_VARIABLE" in finding.place for finding in search.findings)
