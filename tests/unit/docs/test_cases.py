"""The table of cases, as it is read from the tests' marks."""

from __future__ import annotations

from pathlib import Path

from docs.cases import BEHAVIOURS, marked_tests, without_test

MARKED = """
import pytest

@pytest.mark.case(3)
@pytest.mark.case(5, 6)
async def test_one() -> None: ...

@pytest.mark.parametrize("case", [7])
def test_other(case: int) -> None: ...

class TestThings:
    @pytest.mark.case(3)
    def test_inside(self) -> None: ...
"""


def test_marks_are_found_without_importing_the_tests(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "test_marked.py").write_text(MARKED)
    (tmp_path / "helper.py").write_text(MARKED)

    found = marked_tests(tmp_path)

    one, inside = "deep/test_marked.py::test_one", "deep/test_marked.py::test_inside"
    assert found == {3: [one, inside], 5: [one], 6: [one]}


def test_cases_without_a_test_are_named() -> None:
    found = {number: ["test_x.py::test"] for number in BEHAVIOURS if number not in {17, 40}}

    assert without_test(found) == [17, 40]
    assert list(BEHAVIOURS) == list(range(1, 65))
