"""Pages stay within one reply."""

from __future__ import annotations

from pydantic import BaseModel

from services.registry.domain.pages import MAX_PAGE_BYTES, fitting


class Row(BaseModel):
    text: str


def test_a_page_has_at_most_the_limit() -> None:
    rows = [Row(text=str(n)) for n in range(5)]

    assert fitting(rows, 3) == (rows[:3], True)
    assert fitting(rows, 5) == (rows, False)
    assert fitting([], 5) == ([], False)


def test_a_page_ends_before_the_reply_is_too_large() -> None:
    rows = [Row(text="x" * (MAX_PAGE_BYTES // 3)) for _ in range(5)]

    shown, more = fitting(rows, 5)

    assert (len(shown), more) == (2, True)


def test_one_large_row_is_a_page() -> None:
    rows = [Row(text="x" * (MAX_PAGE_BYTES + 1)), Row(text="y")]

    assert fitting(rows, 2) == (rows[:1], True)
