"""Rules about the repository that no linter knows: run by `make lint` as `python -m tests.support.repo_rules`."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
MAX_FILE_BYTES: Final = 1024 * 1024

FORBIDDEN: Final = (
    (re.compile(r"(?<![\w.~])/(?:root|home/\w+|work)/\w"), "a path of one machine"),
    (re.compile(r"--(?:extra-)?index-url|--find-links|--trusted-host"), "an index address or option"),
    (
        re.compile(r"https?://[\w.-]*(?:pypi\.org|pythonhosted\.org|npmjs\.org|debian\.org)"),
        "a package registry's host",
    ),
    (re.compile(r"-----BEGIN (?:RSA |EC )?PRIVATE KEY-----"), "a private key"),
    (re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE), "a merge conflict marker"),
)
EXEMPT: Final = {"tests/support/repo_rules.py"}


def tracked_files() -> list[Path]:
    """Files that git tracks, or would on the next commit."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    names = listing.stdout.decode().split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def findings(path: Path) -> Iterator[str]:
    name = path.relative_to(ROOT).as_posix()
    if path.stat().st_size > MAX_FILE_BYTES:
        yield f"{name}: larger than 1 MiB; keep large files out of the repository"
    if name in EXEMPT:
        return
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        return
    for pattern, what in FORBIDDEN:
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{name}:{line}: {what} ({match.group(0)[:60]!r}); take it out"


def main() -> int:
    found = [finding for path in tracked_files() for finding in findings(path)]
    for finding in found:
        print(finding, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
