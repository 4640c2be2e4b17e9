"""Small valid documents that tests change one thing of."""

from __future__ import annotations

import copy
from typing import Any

from shared.contracts.template import Report, Template, check

_DOCUMENT: dict[str, Any] = {
    "name": "Fleet Portal",
    "type": "Telematics",
    "description": "Vehicles and trips.",
    "base_url": "https://api.example.com/v1",
    "auth_type": "none",
    "operations": [
        {
            "operation": "get_vehicle",
            "method": "GET",
            "path": "/vehicles/{id}",
            "parameters": [
                {"name": "id", "location": "path", "type": "integer", "required": True},
                {"name": "lang", "location": "query", "type": "string", "default": "en", "enum": ["en", "fr"]},
            ],
            "sample": {"id": 7},
        },
        {
            "operation": "add_trip",
            "method": "POST",
            "path": "/trips",
            "parameters": [{"name": "km", "location": "body", "type": "number", "required": True}],
            "sample": {"km": 1.5},
        },
    ],
}

MISSING = object()


def document(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """A valid document with `changes`, by JSON pointer without escapes; `MISSING` removes, `-` appends to a list."""
    changed = copy.deepcopy(_DOCUMENT)
    for path, value in (changes or {}).items():
        *way, last = path.strip("/").split("/")
        place: Any = changed
        for step in way:
            place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
        if value is MISSING:
            del place[int(last) if isinstance(place, list) else last]
        elif isinstance(place, list):
            place.append(value) if last == "-" else place.__setitem__(int(last), value)
        else:
            place[last] = value
    return changed


def valid(changes: dict[str, Any] | None = None) -> Template:
    """The template of a document that must be valid."""
    report = check(document(changes))
    assert report.errors == []
    assert report.template is not None
    return report.template


def paths(report: Report) -> list[str]:
    return [problem.path for problem in report.errors]
