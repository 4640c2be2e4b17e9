"""Rules about the document as a whole: what concerns several operations, or operations and auth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from shared.contracts.template.node import Node
from shared.contracts.template.problems import Problem, shown
from shared.contracts.template.rules.auth import header_of_credential


def operation_names_differ(document: Node) -> Iterator[Problem]:
    seen: set[str] = set()
    for operation in document.items("operations"):
        name = operation.text("operation")
        if name in seen:
            yield Problem(
                operation.at("operation"), f"There is another operation {shown(name)}.", "Give each its own name."
            )
        if name is not None:
            seen.add(name)


def one_health_check(document: Node) -> Iterator[Problem]:
    checks = [operation for operation in document.items("operations") if operation.flag("health_check")]
    for operation in checks[1:]:
        yield Problem(
            operation.at("health_check"),
            f"{shown(checks[0].text('operation'))} is the health check already.",
            "Keep `health_check: true` at one operation.",
        )


def credential_header_is_left_alone(document: Node) -> Iterator[Problem]:
    header = header_of_credential(document)
    if header is None:
        return
    for operation in document.items("operations"):
        places = [node.child("name") for node in operation.items("parameters") if node.text("location") == "header"]
        for place in [*places, operation.child("idempotency_header")]:
            if isinstance(place.value, str) and place.value.lower() == header:
                yield Problem(
                    place.path,
                    f"The header {place.value} carries the credential and is set from the connection alone.",
                    "Take the parameter out, or use another header.",
                )


def credential_query_is_left_alone(document: Node) -> Iterator[Problem]:
    query = document.text("query_parameter")
    for operation in document.items("operations"):
        for node in operation.items("parameters"):
            if query is not None and node.text("location") == "query" and node.text("name") == query:
                yield Problem(
                    node.at("name"),
                    f"The query parameter {shown(query)} carries the credential and is set from the connection alone.",
                    "Take the parameter out.",
                )


def names_that_look_alike(document: Node) -> Iterator[Problem]:
    """Identifiers that differ in '-' and '_' alone are easily mistaken."""
    names = [name for operation in document.items("operations") if (name := operation.text("operation")) is not None]
    counts = Counter(name.replace("-", "_") for name in set(names))
    for operation in document.items("operations"):
        name = operation.text("operation")
        if name is not None and counts[name.replace("-", "_")] > 1:
            yield Problem(
                operation.at("operation"),
                f"{shown(name)} differs from another operation in '-' and '_' alone.",
                "Choose names that cannot be mistaken for each other.",
            )
