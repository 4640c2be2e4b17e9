"""JSON Schema checks (2020-12): validators are built when first needed and shared by everything that has the schema."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import msgspec
from jsonschema_rs import Draft202012Validator, ReferencingError, ValidationError

from shared.contracts.execution import SchemaError
from shared.contracts.template.schema_cost import Weight, weigh
from shared.contracts.template.schemas import compile_schema

MAX_SCHEMA_ERRORS: Final = 20
MAX_CHECKS: Final = 20_000_000
"""A larger product of a schema's weight and the values to check is not checked: it would keep the worker from all else
for about a second."""
_CHECKS_TO_TELL_ALL: Final = 50_000
_MAX_MESSAGE: Final = 500
_MASK: Final = "the value"


def pack_schema(schema: Any) -> bytes:
    """A schema as a plan keeps it: compressed, since a worker has thousands and only building a validator reads it."""
    return zlib.compress(msgspec.json.encode(schema))


class TooMuchToCheck(Exception):  # noqa: N818 - it is no error of anybody's
    """The check would take too long."""


class _Checker(msgspec.Struct, frozen=True):
    validator: Draft202012Validator
    weight: Weight


class SchemaCache:
    """At most `size` validators, the least recently used leave first. Nothing is fetched for a `$ref`.

    Schemas are given as `pack_schema` makes them. A check takes a bounded time: what is too much is not checked.
    """

    def __init__(self, size: int = 1024) -> None:
        self._size = size
        self._checkers: OrderedDict[bytes, _Checker | str] = OrderedDict()

    def errors(
        self, schema: bytes, instance: Any, *, limit: int = MAX_SCHEMA_ERRORS, values: int | None = None
    ) -> list[SchemaError]:
        """At most `limit` places where `instance` breaks `schema`; none where it fits.

        `values` is how many values the instance holds, counted here if it is not given. Raises TooMuchToCheck.
        """
        checker = self._checkers.get(schema)
        if checker is None:
            checker = self._build(schema)
        else:
            self._checkers.move_to_end(schema)
        if isinstance(checker, str):
            return [SchemaError("", checker)]
        checks = checker.weight.checks * (_count(instance) if values is None else values)
        if checks > MAX_CHECKS:
            raise TooMuchToCheck
        try:
            if checker.validator.is_valid(instance):
                return []
            return list(islice(_places(checker, instance, checks), limit))
        except (ValueError, OverflowError, RecursionError) as error:
            return [SchemaError("", f"cannot be checked against the schema ({type(error).__name__})")]

    def _build(self, schema: bytes) -> _Checker | str:
        checker: _Checker | str
        try:
            document = msgspec.json.decode(zlib.decompress(schema))
            checker = _Checker(compile_schema(document, mask=_MASK), weigh(document))
        except (ValidationError, ReferencingError, ValueError, RecursionError) as error:
            checker = f"the schema itself cannot be used: {error}"[:_MAX_MESSAGE]
        if len(self._checkers) >= self._size:
            self._checkers.popitem(last=False)
        self._checkers[schema] = checker
        return checker


def _places(checker: _Checker, instance: Any, checks: int) -> Iterator[SchemaError]:
    """Where an instance breaks its schema.

    The library makes all errors at once, each with those of every branch: of a million values that takes gigabytes.
    So all are asked for where there are few, the first alone where there are more, and none where even that is much.
    """
    weight = checker.weight
    if checks <= _CHECKS_TO_TELL_ALL and not weight.grows:
        for error in checker.validator.iter_errors(instance):
            yield SchemaError(_pointer(error), error.message[:_MAX_MESSAGE])
    elif weight.branches or weight.grows:
        yield SchemaError("", "does not fit the schema; it is too large, or the schema too entangled, to tell where")
    else:
        try:
            checker.validator.validate(instance)
        except ValidationError as error:
            yield SchemaError(_pointer(error), error.message[:_MAX_MESSAGE])


def _count(instance: Any) -> int:
    """How many values there are in `instance`."""
    count, pending = 1, [instance]
    while pending:
        item = pending.pop()
        if isinstance(item, dict | list):
            inside = item.values() if isinstance(item, dict) else item
            count += len(item)
            pending.extend(each for each in inside if isinstance(each, dict | list))
    return count


def _pointer(error: ValidationError) -> str:
    """JSON pointer (RFC 6901) to where the instance breaks the schema."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in error.instance_path)
