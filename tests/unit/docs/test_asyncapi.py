"""The AsyncAPI document: valid, complete, and true to the messages."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import jsonschema_rs
import msgspec
import pytest
import yaml

from docs import asyncapi
from docs.served import Served, _Recorder, served
from services.executor.control.commands import COMMANDS
from shared.contracts.errors import DibopError
from shared.contracts.events import EVENT_TYPES, Event
from shared.contracts.execution import ExecutionRequest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # two of its fields are called `schema`, as pydantic's own method once was
    from asyncapi3.models.asyncapi import AsyncAPI3


@cache
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(asyncapi.text())
    return loaded


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def at(reference: str) -> Any:
    place: Any = document()
    for part in reference.removeprefix("#/").split("/"):
        place = place[part]
    return place


def validator(schema: dict[str, Any]) -> Any:
    """A schema of the document with what it refers to."""
    return jsonschema_rs.Draft202012Validator({**schema, "components": document()["components"]})


def test_it_is_an_asyncapi_3_document() -> None:
    AsyncAPI3.model_validate(document())


def test_a_mistake_would_be_seen() -> None:
    with pytest.raises(ValueError, match="bind"):
        AsyncAPI3.model_validate({**document(), "channels": {"exec": {"address": "exec", "bind": {}}}})


def test_every_reference_leads_somewhere() -> None:
    found = set(references(document()))

    assert len(found) > 100
    for reference in found:
        assert at(reference) is not None


def test_every_schema_is_one() -> None:
    for schema in document()["components"]["schemas"].values():
        validator(schema)


@pytest.mark.parametrize("command", served(), ids=lambda each: each.name)
def test_a_command_stands_there_with_its_subject_its_body_and_its_answer(command: Served) -> None:
    operation = document()["operations"][command.name]
    channel = at(operation["channel"]["$ref"])
    message = at(channel["messages"][command.name]["$ref"])

    assert channel["address"] == f"{command.plane}.v1.{{enterprise}}.{command.noun}.{command.verb}"
    assert at(message["payload"]["$ref"])["title"] == command.model.__name__
    assert [reference["$ref"].rpartition("/")[2] for reference in operation["reply"]["messages"]] == [
        command.answer.__name__,
        "Error",
    ]


def test_all_planes_are_there() -> None:
    names = {each.name for each in served()}

    assert {f"executor_{name.replace('.', '_')}" for name in COMMANDS} <= names
    assert {"registry_draft_save", "registry_version_add", "publisher_connector_publish"} <= names
    assert {"exec", "execas", "draft", "resp"} <= document()["channels"].keys()


def test_every_event_stands_there_with_the_headers_that_it_has() -> None:
    for noun, whats in EVENT_TYPES.items():
        for what in whats:
            event = Event("acme", noun, "weather", what, "registry", {"a": 1})
            channel = document()["channels"][f"evt_{noun}_{what}"]
            message = document()["components"]["messages"][f"evt_{noun}_{what}"]

            assert channel["address"].format(enterprise="acme", id="weather") == event.subject
            validator(message["headers"]).validate(event.headers())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ExecutionRequest", msgspec.to_builtins(ExecutionRequest({"q": "London"}, timeout=3.0))),
        ("Problem", DibopError("conflict", "Somebody saved.", errors=[{"path": "/name"}]).to_problem("r-1")),
        ("PublishConnector", {"slug": "weather", "scope": "catalogue", "bump": "minor"}),
    ],
)
def test_messages_fit_their_schemas(name: str, value: Any) -> None:
    check = validator(document()["components"]["schemas"][name])

    check.validate(value)
    with pytest.raises(jsonschema_rs.ValidationError):
        check.validate([value])


def _silent() -> Callable[..., Any]:
    async def handler(_context: object, _command: object):  # type: ignore[no-untyped-def]
        ...

    return handler


def test_a_command_that_does_not_say_what_it_answers_is_refused() -> None:
    with pytest.raises(TypeError, match="does not say which model it answers with"):
        _Recorder("registry").command("draft", "save", next(iter(served())).model)(_silent())
