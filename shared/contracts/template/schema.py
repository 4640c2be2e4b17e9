"""The JSON Schema of the template, by which editors complete and explain the YAML."""

from __future__ import annotations

from typing import Any

from shared.contracts.template.model import EXTENSION_PREFIX, Template
from shared.contracts.template.schemas import DIALECT


def json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of the whole document. It holds what one field can say; `check` knows all the rules."""
    schema = Template.model_json_schema(mode="validation", by_alias=True)
    definitions = schema.pop("$defs")
    return {
        "$schema": DIALECT,
        "$id": "urn:dibop:schema:template:v1",
        **_open_for_extensions(schema),
        "title": "DIBOP connector template",
        "$defs": {name: _open_for_extensions(definition) for name, definition in definitions.items()},
    }


def _open_for_extensions(schema: dict[str, Any]) -> dict[str, Any]:
    """Names that start with `x-` are allowed everywhere, and titles that repeat the name are left out."""
    properties = {
        name: {key: value for key, value in field.items() if key != "title"}
        for name, field in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties, "patternProperties": {f"^{EXTENSION_PREFIX}": True}}
