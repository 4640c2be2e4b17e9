"""The AsyncAPI 3 document: every subject that the services answer and every event that they tell of."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

import msgspec
import yaml
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from docs.served import Served, served
from shared.contracts import subjects
from shared.contracts.errors import CATALOGUE
from shared.contracts.events import EVENT_TYPES, Event
from shared.contracts.execution import (
    AUTHORIZATION_HEADER,
    CONNECTION_HEADER,
    DEADLINE_HEADER,
    IDEMPOTENCY_HEADER,
    MAX_DEADLINE_MS,
    MAX_REQUEST_BYTES,
    REQUEST_ID_HEADER,
    RESPONSE_PART_BYTES,
    TRACEPARENT_HEADER,
    VERSION_HEADER,
    DraftExecutionRequest,
    ExecutionReply,
    ExecutionRequest,
    Problem,
)
from shared.contracts.names import TOKEN_PATTERN

Fields = dict[str, Any]

_INTRODUCTION: Final = (
    "Requests are answered on the subject that NATS makes for the reply. Every request gets one reply: a result, or an "
    "error with the headers `Nats-Service-Error-Code` and `Nats-Service-Error` and a problem document. "
    "docs/wire-contract.md tells the rest."
)
_SCHEMAS: Final = "#/components/schemas/{name}"


def document() -> Fields:
    """The whole document as plain data."""
    commands = served()
    schemas, names = _schemas(commands)
    channels = {**_command_channels(commands), **_execution_channels(), **_event_channels()}
    replies = {each.answer.__name__ for each in commands} | {"ExecutionReply"}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "DIBOP Connectors",
            "version": version("dibop-connectors"),
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "bus": {
                "host": "{address}",
                "protocol": "nats",
                "description": "The address is `nats_url` of the context file.",
                "variables": {"address": {"default": "127.0.0.1:4222"}},
            }
        },
        "channels": {**channels, "replies": _reply_channel(sorted(replies))},
        "operations": {**_command_operations(commands), **_execution_operations(), **_event_operations()},
        "components": {
            "schemas": schemas,
            "messages": {
                **_command_messages(commands, names),
                **_execution_messages(),
                **_event_messages(),
            },
            "parameters": {
                name: {"description": f"{text} Matches `{TOKEN_PATTERN}`."} for name, text in _PARAMETERS.items()
            },
        },
    }


def text() -> str:
    """The document as YAML."""
    note = "# Written by `make docs` from the code; change it there.\n"
    return note + yaml.dump(
        document(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=118, default_flow_style=False
    )


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the name is PyYAML's
        return True


_PARAMETERS: Final = {
    "enterprise": "The enterprise that asks or is told of; `platform` for what belongs to all.",
    "connector": "The connector's slug.",
    "operation": "The operation's name.",
    "id": "What the event is about, or whose parts these are.",
    "part": "The number of the part, from 0.",
}


# ---- commands ----------------------------------------------------------------------------------


def _command_channels(commands: Iterable[Served]) -> Fields:
    return {
        each.name: _channel(
            f"{each.plane}.{subjects.VERSION}.{{enterprise}}.{each.noun}.{each.verb}",
            [each.name],
            _summary(each.model),
        )
        for each in commands
    }


def _command_operations(commands: Iterable[Served]) -> Fields:
    return {
        each.name: _answering(each.name, each.name, each.answer.__name__, _summary(each.model)) for each in commands
    }


def _command_messages(commands: Sequence[Served], names: Mapping[tuple[type, JsonSchemaMode], str]) -> Fields:
    messages: Fields = {}
    for each in commands:
        messages[each.name] = {
            "title": each.model.__name__,
            "summary": f"At most {each.max_bytes:,} bytes.",
            "headers": _headers(_COMMAND_HEADERS, [AUTHORIZATION_HEADER]),
            "payload": _ref(names[each.model, "validation"]),
        }
    for answer in {each.answer.__name__: each.answer for each in commands}.values():
        messages[answer.__name__] = {
            "title": answer.__name__,
            "headers": _headers(_REPLY_HEADERS),
            "payload": _ref(names[answer, "serialization"]),
        }
    return dict(sorted(messages.items()))


# ---- executions --------------------------------------------------------------------------------

_EXECUTIONS: Final = {
    subjects.EXEC_PLANE: (
        "ExecutionRequest",
        "Execute an operation. The caller is the NATS user, bound to its enterprise by permissions.",
    ),
    subjects.EXECAS_PLANE: (
        "ExecutionRequestAs",
        "Execute an operation for a person: the executor verifies the person's token for the enterprise.",
    ),
    subjects.DRAFT_PLANE: (
        "DraftExecutionRequest",
        "Test an operation of a draft; the publisher's user alone may send.",
    ),
}


def _execution_channels() -> Fields:
    planes = {
        plane: _channel(f"{plane}.{subjects.VERSION}.{{enterprise}}.{{connector}}.{{operation}}", [message], summary)
        for plane, (message, summary) in _EXECUTIONS.items()
    }
    parts = _channel(
        f"resp.{subjects.VERSION}.{{enterprise}}.{{id}}.{{part}}",
        ["ResponsePart"],
        f"Parts of large responses in the stream {subjects.RESPONSES_STREAM}, kept for ten minutes. Read one with a "
        f"request to `$JS.API.DIRECT.GET.{subjects.RESPONSES_STREAM}.<subject>`.",
    )
    return {**planes, "resp": parts}


def _execution_operations() -> Fields:
    asked = {
        plane: _answering(plane, message, "ExecutionReply", summary)
        for plane, (message, summary) in _EXECUTIONS.items()
    }
    return {**asked, "resp": _telling("resp", "ResponsePart", "Store a part of a large response.")}


def _execution_messages() -> Fields:
    limit = f"At most {MAX_REQUEST_BYTES:,} bytes."
    return {
        "ExecutionRequest": {
            "summary": limit,
            "headers": _headers(_EXECUTION_HEADERS),
            "payload": _ref("ExecutionRequest"),
        },
        "ExecutionRequestAs": {
            "summary": limit,
            "headers": _headers(_EXECUTION_HEADERS, [AUTHORIZATION_HEADER]),
            "payload": _ref("ExecutionRequest"),
        },
        "DraftExecutionRequest": {
            "summary": limit,
            "headers": _headers(_EXECUTION_HEADERS),
            "payload": _ref("DraftExecutionRequest"),
        },
        "ExecutionReply": {"headers": _headers(_REPLY_HEADERS), "payload": _ref("ExecutionReply")},
        "ResponsePart": {
            "summary": f"At most {RESPONSE_PART_BYTES:,} raw bytes.",
            "contentType": "application/octet-stream",
            "payload": {"type": "string", "format": "binary"},
        },
        "Error": {
            "summary": "Nothing came of the request.",
            "contentType": "application/problem+json",
            "headers": _headers(_ERROR_HEADERS, list(_ERROR_HEADERS)),
            "payload": _ref("Problem"),
        },
    }


# ---- events ------------------------------------------------------------------------------------


def _events() -> list[tuple[str, str, str]]:
    """Name, noun and what happened of each."""
    return [(f"evt_{noun}_{what}", noun, what) for noun, whats in EVENT_TYPES.items() for what in whats]


def _event_channels() -> Fields:
    return {
        name: _channel(
            f"evt.{subjects.VERSION}.{{enterprise}}.{noun}.{{id}}.{what}",
            [name],
            f"Kept in the stream {subjects.EVENTS_STREAM}; told at least once, `ce-id` tells repeats.",
        )
        for name, noun, what in _events()
    }


def _event_operations() -> Fields:
    return {name: _telling(name, name, f"Tell that a {noun} is {what}.") for name, noun, what in _events()}


def _event_messages() -> Fields:
    return {
        name: {
            "title": f"{noun} {what}".replace("_", " "),
            "summary": "A CloudEvent 1.0 in binary mode: attributes are headers, the payload is its data.",
            "headers": _cloud_event_headers(noun, what),
            "payload": {"type": "object"},
        }
        for name, noun, what in _events()
    }


def _cloud_event_headers(noun: str, what: str) -> Fields:
    """As `Event.headers` writes them."""
    example = Event("platform", noun, "weather", what, "registry", {})
    fixed = {"ce-specversion", "ce-type", "content-type"}
    described = {
        name: {"type": "string", "const": value} if name in fixed else {"type": "string"}
        for name, value in example.headers().items()
    }
    described["ce-time"]["format"] = "date-time"
    return {"type": "object", "required": list(described), "properties": described}


# ---- what all have in common -------------------------------------------------------------------


def _channel(address: str, messages: Iterable[str], description: str) -> Fields:
    parameters = re.findall(r"{(\w+)}", address)
    return {
        "address": address,
        "description": description,
        "servers": [{"$ref": "#/servers/bus"}],
        "parameters": {name: {"$ref": f"#/components/parameters/{name}"} for name in parameters},
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
    }


def _reply_channel(messages: Iterable[str]) -> Fields:
    return {
        "address": None,
        "description": "The reply subject of a request: an inbox of whoever asks.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in [*messages, "Error"]},
    }


def _answering(channel: str, message: str, answer: str, summary: str) -> Fields:
    return {
        "action": "receive",
        "summary": summary,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{message}"}],
        "reply": {
            "channel": {"$ref": "#/channels/replies"},
            "messages": [{"$ref": f"#/channels/replies/messages/{name}"} for name in (answer, "Error")],
        },
    }


def _telling(channel: str, message: str, summary: str) -> Fields:
    return {
        "action": "send",
        "summary": summary,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{message}"}],
    }


def _headers(properties: Mapping[str, Fields], required: Sequence[str] = ()) -> Fields:
    described: Fields = {"type": "object", "properties": dict(properties)}
    return {**described, "required": list(required)} if required else described


def _text(description: str, **more: Any) -> Fields:
    return {"type": "string", "description": description, **more}


_COMMAND_HEADERS: Final = {
    AUTHORIZATION_HEADER: _text("`Bearer <token>` of the person or service that asks."),
    REQUEST_ID_HEADER: _text("An id of your own for the request; made where absent.", maxLength=128),
    TRACEPARENT_HEADER: _text("W3C trace context."),
}
_EXECUTION_HEADERS: Final = {
    CONNECTION_HEADER: _text("Name of the connection.", default="default"),
    VERSION_HEADER: _text("`1.2.0` for exactly that version, `^1` for the highest published one of that major."),
    DEADLINE_HEADER: _text(f"How many milliseconds you still wait, at most {MAX_DEADLINE_MS:,}.", pattern=r"^\d+$"),
    IDEMPOTENCY_HEADER: _text("Sent on in the operation's idempotency_header; made where absent."),
    **_COMMAND_HEADERS,
}
_REPLY_HEADERS: Final = {REQUEST_ID_HEADER: _text("The id of the request.")}
_ERROR_HEADERS: Final = {
    REQUEST_ID_HEADER: _text("The id of the request."),
    "Nats-Service-Error-Code": _text("The status in digits.", enum=sorted({str(k.status) for k in CATALOGUE.values()})),
    "Nats-Service-Error": _text("`<code>: <title>`."),
}


def _schemas(commands: Iterable[Served]) -> tuple[Fields, Mapping[tuple[type, JsonSchemaMode], str]]:
    """All schemas by name, and the name of each command's and answer's."""
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {}
    for each in commands:
        wanted[each.model, "validation"] = None
        wanted[each.answer, "serialization"] = None
    references, defined = models_json_schema(list(wanted), ref_template=_SCHEMAS.replace("{name}", "{model}"))
    _, on_the_way = msgspec.json.schema_components(
        [ExecutionRequest, DraftExecutionRequest, ExecutionReply, Problem], ref_template=_SCHEMAS
    )
    found = {**on_the_way, **defined["$defs"]}
    found["Problem"]["properties"]["type"] = {
        "type": "string",
        "enum": [f"urn:dibop:error:{code}" for code in CATALOGUE],
    }
    names = {key: reference["$ref"].rpartition("/")[2] for key, reference in references.items()}
    return dict(sorted(found.items())), names


def _ref(name: str) -> Fields:
    return {"$ref": _SCHEMAS.format(name=name)}


def _summary(model: type[BaseModel]) -> str:
    """What a command does, in the words of its model: without the name that stands before them."""
    words = inspect.cleandoc(model.__doc__ or "").split("\n\n")[0].replace("\n", " ")
    said = re.sub(r"\A`[^`]+`(?: to executors)?[:,.]?\s*", "", words) or model.__name__
    return said[0].upper() + said[1:]
