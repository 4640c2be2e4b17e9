"""Changes in words."""

from __future__ import annotations

from typing import Any

import pytest

from services.publisher.domain.sentences import sentence
from services.publisher.domain.templates import changes, valid_template
from tests.unit.publisher.documents import DROP, api_key, edited, regional

W = "/operations/0"
SCHEMA = f"{W}/response_schema"


def told(edits: dict[str, Any], base: Any = api_key) -> list[str]:
    old, new = (valid_template("weather", document) for document in (base(), edited(base(), edits)))
    return [sentence(change) for change in changes(old, new)]


@pytest.mark.parametrize(
    ("edits", "says"),
    [
        ({"/operations/1": DROP}, "Operation 'create_report' is removed; who calls it gets an error."),
        (
            {f"{W}/parameters/1/default": "imperial"},
            """The default of parameter 'units' of 'get_weather' changes from "metric" to "imperial".""",
        ),
        (
            {f"{W}/parameters/2/default": "en"},
            """The default of parameter 'lang' of 'get_weather' is now "en"; there was none.""",
        ),
        (
            {f"{W}/parameters/1/enum": ["metric"]},
            """Parameter 'units' of 'get_weather' no longer allows "imperial".""",
        ),
        (
            {f"{W}/parameters/2/enum": ["en", "fr"]},
            """Parameter 'lang' of 'get_weather' now allows only "en", "fr".""",
        ),
        ({f"{W}/parameters/2/location": "header"}, "Parameter 'lang' of 'get_weather' moves from query to header."),
        (
            {f"{W}/parameters/2/type": "integer"},
            "Parameter 'lang' of 'get_weather' changes its type from string to integer.",
        ),
        (
            {f"{SCHEMA}/$defs/main/properties/temp/type": ["number", "null"]},
            "'main.temp' in the response of 'get_weather' changes its type from number to number or null.",
        ),
        (
            {f"{SCHEMA}/properties/hours/items/properties/temp": DROP},
            "'hours[].temp' in the response of 'get_weather' is removed.",
        ),
        (
            {f"{SCHEMA}/required": []},
            "'name' in the response of 'get_weather' is no longer always there.",
        ),
        (
            {"/base_url": "https://api.example.org/v1"},
            (
                """base_url changes from "https://api.example.com/v1" to "https://api.example.org/v1": """
                "credentials go another way or to another host."
            ),
        ),
        (
            {f"{W}/idempotent": False},
            "Operation 'get_weather' is no longer idempotent, so failed attempts are not repeated.",
        ),
        ({"/documentation_url": DROP}, """documentation_url is taken away; it was "https://docs.example.com"."""),
        ({"/operations/1/method": "PUT"}, """Method of 'create_report' changes from "POST" to "PUT"."""),
    ],
)  # fmt: skip
def test_a_change_names_its_place_what_was_and_what_is(edits: dict[str, Any], says: str) -> None:
    assert told(edits) == [says]


def test_a_credential_that_connections_lack_is_told_as_such() -> None:
    edits = {"/credential_schema/area": {"label": "Area", "type": "string", "required": True}}

    assert told(edits, regional) == ["Credential 'area' is added and required, and connections do not have it yet."]


def test_names_that_look_like_keywords_or_hold_slashes_stay_names() -> None:
    old = edited(api_key(), {f"{SCHEMA}/properties": {"items": {"type": "string"}, "a/b": {"type": "string"}}})
    new = edited(old, {f"{SCHEMA}/properties": {}})
    before, after = (valid_template("weather", document) for document in (old, new))

    assert [sentence(change) for change in changes(before, after)] == [
        "'items' in the response of 'get_weather' is removed.",
        "'a/b' in the response of 'get_weather' is removed.",
    ]
