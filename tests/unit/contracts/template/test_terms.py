"""Terms: what of a template says where and how credentials are sent, and what tells two of them apart."""

from __future__ import annotations

from typing import Any

import pytest

from shared.contracts.template import check, terms_changed, terms_digest, terms_of
from tests.support.connectors import document


def terms(**changes: Any) -> dict[str, str]:
    report = check(document(**changes))
    assert report.template is not None, report.errors
    return terms_of(report.template)


@pytest.mark.parametrize(
    "changes",
    [{"description": "Better."}, {"base_url": "https://api.example.com/v2"}, {"operations": []}, {"name": "Sky"}],
)
def test_what_sends_nothing_elsewhere_changes_no_terms(changes: dict[str, Any]) -> None:
    made = document(**changes)
    made["operations"] = made["operations"] or document()["operations"][:1]
    assert terms(**{name: made[name] for name in changes}) == terms()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"base_url": "https://api.example.org"},
            "host: https://api.example.com:443 becomes https://api.example.org:443",
        ),
        ({"base_url": "http://api.example.com"}, "host: https://api.example.com:443 becomes http://api.example.com:80"),
        ({"header_name": "X-Other"}, "header: X-API-Key becomes X-Other"),
        ({"key_prefix": "Key "}, "key prefix: none becomes Key "),
        ({"auth_type": "none", "credential_schema": None}, "authentication: api_key becomes none"),
    ],
)
def test_what_sends_otherwise_is_told_in_words(changes: dict[str, Any], told: str) -> None:
    before, after = terms(), terms(**changes)

    assert told in terms_changed(before, after)
    assert terms_digest(before) != terms_digest(after)
    assert not terms_changed(before, before)


def test_terms_that_are_not_known_have_no_digest() -> None:
    assert not terms_digest({})
