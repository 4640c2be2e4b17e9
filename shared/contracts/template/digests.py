"""Digests: what names a document, and what binds a test to the operation that was tested."""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785

from shared.contracts.errors import DibopError
from shared.contracts.names import did_you_mean
from shared.contracts.template.model import Auth, Operation, Template


def canonical_json(document: Any) -> bytes:
    """The canonical JSON of a document (RFC 8785). Raises DibopError `invalid-template` for what JSON cannot carry."""
    try:
        return rfc8785.dumps(document)
    except (rfc8785.CanonicalizationError, RecursionError) as error:
        raise DibopError(
            "invalid-template",
            "The document holds a value that JSON does not carry: NaN, infinity, an integer beyond 2^53 - 1, "
            "half a character, or nesting without end. Check the document to see where.",
        ) from error


def document_digest(document: Any) -> str:
    """`sha256:<hex>` of the canonical JSON."""
    return "sha256:" + hashlib.sha256(canonical_json(document)).hexdigest()


def operation_digest(template: Template, operation_name: str) -> str:
    """`sha256:<hex>` over base_url, everything of auth, and the operation with all defaults written out.

    Changing one operation changes its own digest alone; changing base_url or auth changes all of them.
    Raises DibopError `unknown-operation`.
    """
    operation = template.operation(operation_name)
    if operation is None:
        names = [each.operation for each in template.operations]
        raise DibopError(
            "unknown-operation",
            f"{template.slug!r} has no operation {operation_name[:80]!r}. "
            + did_you_mean(operation_name, names, "operation"),
        )
    return _operation_digest(_common(template), operation)


def operation_digests(template: Template) -> dict[str, str]:
    """The digest of every operation by its name, in the template's order."""
    common = _common(template)
    return {operation.operation: _operation_digest(common, operation) for operation in template.operations}


def _operation_digest(common: dict[str, Any], operation: Operation) -> str:
    return document_digest({**common, "operation": operation.model_dump(mode="json", by_alias=True)})


def _common(template: Template) -> dict[str, Any]:
    """What every operation's digest covers besides the operation."""
    auth = template.model_dump(mode="json", include=set(Auth.model_fields))
    auth["credential_schema"] = {
        name: field.model_dump(mode="json") for name, field in template.credential_fields().items()
    }
    return {"base_url": template.base_url, "auth": auth}
