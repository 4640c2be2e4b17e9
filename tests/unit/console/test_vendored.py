"""What is shipped of others is what is written down, with its licence."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[3]
FOLDERS: Final = (ROOT / "services/console/static/vendor", ROOT / "tests/browser/vendor")
WRITTEN_BESIDE: Final = {"vendor.json", "LICENCES.txt"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_every_file_is_the_one_that_was_taken(folder: Path) -> None:
    files = json.loads((folder / "vendor.json").read_text())["files"]
    found = {each["file"]: hashlib.sha256((folder / each["file"]).read_bytes()).hexdigest() for each in files}
    assert found == {each["file"]: each["sha256"] for each in files}
    assert {path.name for path in folder.iterdir()} == {*found, *WRITTEN_BESIDE}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_every_package_has_its_version_integrity_and_licence(folder: Path) -> None:
    files = json.loads((folder / "vendor.json").read_text())["files"]
    licences = (folder / "LICENCES.txt").read_text()
    for package in (package for each in files for package in each["packages"]):
        assert package["version"], package
        assert package["integrity"].startswith("sha512-"), package
        assert package["licence"] in {"MIT", "ISC", "OFL-1.1", "MPL-2.0"}, package
        assert f"{package['package']}\n---" in licences, package


def test_the_packages_are_those_that_are_asked_for() -> None:
    asked = json.loads((ROOT / "tools/vendor/package.json").read_text())["dependencies"]
    taken = {
        package["package"]: package["version"]
        for folder in FOLDERS
        for each in json.loads((folder / "vendor.json").read_text())["files"]
        for package in each["packages"]
    }
    assert {name: taken[name] for name in asked if name in taken} == {n: v for n, v in asked.items() if n in taken}
    assert set(asked) - set(taken) == {"esbuild"}
