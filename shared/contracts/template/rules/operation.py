"""Rules about one operation, beyond its single parameters."""

from __future__ import annotations

from collections.abc import Iterator

from shared.contracts.names import did_you_mean
from shared.contracts.template.address import PLACEHOLDER, AddressError, check_path
from shared.contracts.template.model import IDEMPOTENT_METHODS
from shared.contracts.template.node import Node
from shared.contracts.template.problems import Problem, shown
from shared.contracts.template.rules.auth import unusable_header
from shared.contracts.template.rules.parameter import fit_problem
from shared.contracts.template.schemas import schema_problems


def path_is_usable(operation: Node) -> Iterator[Problem]:
    path = operation.text("path")
    if path is None:
        return
    if not path.startswith("/"):
        yield Problem(
            operation.at("path"), f"{shown(path)} does not start with a slash.", f"Write {shown('/' + path)}."
        )
    try:
        check_path(path)
    except AddressError as error:
        yield Problem(operation.at("path"), error.problem, error.mend)


def placeholders_have_parameters(operation: Node) -> Iterator[Problem]:
    path = operation.text("path")
    if path is None:
        return
    placeholders = PLACEHOLDER.findall(path)
    parameters = {name: node for node in operation.items("parameters") if (name := node.text("name")) is not None}
    for name in dict.fromkeys(placeholders):
        if name not in parameters:
            yield Problem(
                operation.at("path"),
                f"{{{name}}} has no path parameter.",
                f"Add a parameter with name {name} and location path.",
            )
        elif parameters[name].text("location") in {"query", "header", "body"}:
            yield Problem(
                parameters[name].at("location"),
                f"{{{name}}} stands in the path, but its parameter goes elsewhere.",
                "Write `location: path`.",
            )
        if placeholders.count(name) > 1:
            yield Problem(operation.at("path"), f"{{{name}}} stands in the path twice.", "Give each its own name.")
    for name, node in parameters.items():
        if node.text("location") == "path" and name not in placeholders:
            yield Problem(
                node.at("name"),
                f"The path has no {{{name}}}.",
                f"Add {{{name}}} to the path, or choose another location.",
            )


def parameter_names_differ(operation: Node) -> Iterator[Problem]:
    """A request names parameters without their location, so that a name can stand once only."""
    seen: dict[str, str] = {}
    for node in operation.items("parameters"):
        name = node.text("name")
        if name is None:
            continue
        key = name.lower() if node.text("location") == "header" else name
        if name in seen or (node.text("location") == "header" and f"header {key}" in seen):
            yield Problem(
                node.at("name"), f"There is another parameter {shown(name)}.", "Give each parameter its own name."
            )
        seen[name] = node.path
        if node.text("location") == "header":
            seen[f"header {key}"] = node.path


def whole_body_is_alone(operation: Node) -> Iterator[Problem]:
    body = [node for node in operation.items("parameters") if node.text("location") == "body"]
    if len(body) < 2:
        return
    for node in body:
        if node.flag("whole_body"):
            yield Problem(
                node.at("whole_body"),
                "A whole body leaves no room for other body parameters.",
                "Keep this one alone, or take `whole_body` out so that all form one object.",
            )


def form_fields_are_flat(operation: Node) -> Iterator[Problem]:
    encoding = operation.text("body_encoding")
    if encoding not in {"form", "multipart"}:
        return
    for node in operation.items("parameters"):
        if node.text("location") != "body":
            continue
        if node.flag("whole_body") and node.text("type") != "object":
            yield Problem(node.path, f"A whole body sent as {encoding} must have type object.", "Write `type: object`.")
        if not node.flag("whole_body") and node.text("type") == "object":
            yield Problem(
                node.at("type"), f"A mapping cannot be one field of a {encoding} body.", "Use body_encoding json."
            )


def idempotency_header_is_usable(operation: Node) -> Iterator[Problem]:
    header = operation.child("idempotency_header")
    yield from unusable_header(header)
    for node in operation.items("parameters"):
        if (
            isinstance(header.value, str)
            and node.text("location") == "header"
            and (node.text("name") or "").lower() == header.value.lower()
        ):
            yield Problem(
                node.at("name"),
                f"{header.value} is this operation's idempotency_header, which is set for each request.",
                "Take the parameter out; callers send the key as Idempotency-Key.",
            )


def response_schema_is_valid(operation: Node) -> Iterator[Problem]:
    schema = operation.child("response_schema")
    if isinstance(schema.value, dict):
        yield from schema_problems(schema.value, schema.path)


def sample_fits(operation: Node) -> Iterator[Problem]:
    parameters = {name: node for node in operation.items("parameters") if (name := node.text("name")) is not None}
    for name, value in operation.entries("sample"):
        if name not in parameters:
            yield Problem(
                value.path,
                f"The operation has no parameter {shown(name)}.",
                did_you_mean(name, parameters, "parameter"),
            )
        else:
            yield from fit_problem(parameters[name], value)


def body_on_get(operation: Node) -> Iterator[Problem]:
    method = operation.text("method")
    if method not in {"GET", "DELETE"}:
        return
    for node in operation.items("parameters"):
        if node.text("location") == "body":
            yield Problem(
                node.at("location"),
                f"Many servers ignore or refuse the body of a {method}.",
                "Use a query parameter unless the system's documentation asks for a body.",
            )


def body_encoding_without_body(operation: Node) -> Iterator[Problem]:
    if operation.has("body_encoding") and all(n.text("location") != "body" for n in operation.items("parameters")):
        yield Problem(
            operation.at("body_encoding"), "There is no body parameter to encode.", "Add one, or take the line out."
        )


def sample_lacks_values(operation: Node) -> Iterator[Problem]:
    sample = {name for name, _ in operation.entries("sample")}
    lacking = [
        name
        for node in operation.items("parameters")
        if (name := node.text("name")) is not None
        and (node.flag("required") or node.text("location") == "path")
        and not node.has("default")
        and name not in sample
    ]
    if lacking:
        yield Problem(
            operation.at("sample"),
            f"Tests have no value for {', '.join(lacking)}.",
            "Add example values to `sample`, so that tests can run the operation.",
        )


def health_check_changes_something(operation: Node) -> Iterator[Problem]:
    if (
        operation.flag("health_check")
        and operation.text("method") not in {None, *IDEMPOTENT_METHODS}
        and not operation.flag("idempotent")
    ):
        yield Problem(
            operation.at("health_check"),
            "The health check runs often, and this operation is not idempotent.",
            "Choose a GET operation.",
        )
