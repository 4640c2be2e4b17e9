"""JSON Schema checks (2020-12): validators are built when first needed and shared by everything that has the schema."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from itertools import islice
from typing import Any, Final

import msgspec
from jsonschema_rs import Draft202012Validator, ReferencingError, ValidationError

from shared.contracts.execution import SchemaError

MAX_SCHEMA_ERRORS: Final = 20
_MAX_MESSAGE: Final = 500
_MASK: Final = "the value"


def pack_schema(schema: Any) -> bytes:
    """A schema as a plan keeps it: compressed, since a worker has thousands and only building a validator reads it."""
    return zlib.compress(msgspec.json.encode(schema))


class SchemaCache:
    """At most `size` validators, the least recently used leave first. Nothing is fetched for a `$ref`.

    Schemas are given as `pack_schema` makes them.
    """

    def __init__(self, size: int = 1024) -> None:
        self._size = size
        self._validators: OrderedDict[bytes, Draft202012Validator | str] = OrderedDict()

    def errors(self, schema: bytes, instance: Any, *, limit: int = MAX_SCHEMA_ERRORS) -> list[SchemaError]:
        """At most `limit` places where `instance` breaks `schema`; none where it fits."""
        validator = self._validators.get(schema)
        if validator is None:
            validator = self._build(schema)
        else:
            self._validators.move_to_end(schema)
        if isinstance(validator, str):
            return [SchemaError("", validator)]
        try:
            if validator.is_valid(instance):
                return []
            found = islice(validator.iter_errors(instance), limit)
            return [SchemaError(_pointer(error), error.message[:_MAX_MESSAGE]) for error in found]
        except (ValueError, OverflowError, RecursionError) as error:
            return [SchemaError("", f"cannot be checked against the schema ({type(error).__name__})")]

    def _build(self, schema: bytes) -> Draft202012Validator | str:
        validator: Draft202012Validator | str
        try:
            validator = Draft202012Validator(msgspec.json.decode(zlib.decompress(schema)), offline=True, mask=_MASK)
        except (ValidationError, ReferencingError, ValueError, RecursionError) as error:
            validator = f"the schema itself cannot be used: {error}"[:_MAX_MESSAGE]
        if len(self._validators) >= self._size:
            self._validators.popitem(last=False)
        self._validators[schema] = validator
        return validator


def _pointer(error: ValidationError) -> str:
    """JSON pointer (RFC 6901) to where the instance breaks the schema."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in error.instance_path)
