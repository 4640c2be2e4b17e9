"""A real Chromium: where it is, and how it is started."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

ARGUMENTS: Final = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
_CANDIDATES: Final = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
_MISSING: Final = "There is no Chromium. Run 'make browser' as root, or name one in DIBOP_BROWSER."


def executable() -> str:
    """The browser's path. Without one the session ends: with an error in CI, as skipped elsewhere."""
    for path in (os.environ.get("DIBOP_BROWSER"), *_CANDIDATES):
        if path and os.access(path, os.X_OK):
            return path
    if os.environ.get("CI") or os.environ.get("DIBOP_REQUIRE_BROWSER") == "1":
        pytest.exit(_MISSING, returncode=3)
    pytest.skip(_MISSING, allow_module_level=True)


def axe_source() -> str:
    return (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
