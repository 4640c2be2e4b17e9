"""Credentials from a file, standard input or a prompt: never from the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer
import yaml

from dibop.admin import Registry, find_draft
from dibop.cli import output
from dibop.client import Client
from dibop.errors import InvalidRequestError, NotFoundError
from dibop.sealing import complete, connection_command, load_sealing_key, rotation_command, sealed_for_test
from shared.contracts.commands import (
    Connection,
    CreateConnection,
    Draft,
    RotateConnection,
    TestCredentials,
)
from shared.contracts.names import PLATFORM
from shared.contracts.template import Template, check
from shared.contracts.versions import USABLE, chosen

_MAX_BYTES = 256 * 1024


async def draft_template(client: Client, slug: str, owner: str | None) -> tuple[Draft, Template]:
    """The draft and its template; an invalid one is refused with its errors."""
    draft = await find_draft(client, slug, owner)
    if draft is None:
        raise NotFoundError(
            "not-found", f"There is no draft {slug!r} that you can test. Save one with 'connector apply'."
        )
    return draft, _valid(slug, draft.document)


async def connectable_template(client: Client, slug: str) -> tuple[str, Template, str]:
    """What a connection is made for: the owner, the template, and the version policy.

    That is the latest published version, else the draft.
    """
    version = await Registry(client, client.enterprise).version(slug)
    if version is not None:
        return version.owner, _valid(slug, version.document), f"^{version.version.partition('.')[0]}"
    draft = await find_draft(client, slug)
    if draft is None:
        await Registry(client, client.enterprise).require_connector(slug)
        raise NotFoundError("not-found", f"There is no connector {slug!r} that you can connect to.")
    return draft.owner, _valid(slug, draft.document), "^1"


def for_connection(
    client: Client, template: Template, owner: str, *, name: str, policy: str, file: str | None
) -> CreateConnection:
    """The command that creates the connection, with everything sensitive sealed."""
    values = complete(template, read(template, file))
    return connection_command(
        template,
        values,
        load_sealing_key(client.context.seal_key_file),
        enterprise=client.enterprise,
        owner=owner,
        name=name,
        policy=policy,
    )


async def for_rotation(client: Client, connection: Connection, file: str | None) -> RotateConnection:
    """The command that gives the connection other credentials, with everything sensitive sealed."""
    template = await template_of(client, connection)
    values = complete(template, read(template, file))
    return rotation_command(template, values, load_sealing_key(client.context.seal_key_file), connection)


async def template_of(client: Client, connection: Connection) -> Template:
    """The template whose credentials the connection holds: of the version that its policy takes, else of the draft."""
    slug, policy = connection.connector, connection.version_policy
    registry = Registry(client, client.enterprise)
    taken = chosen((await registry.require_connector(slug)).versions, policy, USABLE)
    if taken is not None:
        version = await registry.version(slug, taken.version)
        if version is not None:
            return _valid(slug, version.document)
    draft = await find_draft(client, slug, connection.owner)
    if draft is None:
        raise NotFoundError(
            "not-found", f"No version of {slug!r} fits {policy}, which the connection {connection.name!r} follows."
        )
    return _valid(slug, draft.document)


def for_test(client: Client, template: Template, owner: str, file: str | None) -> TestCredentials | None:
    """Credentials for one run; None where the connector takes none."""
    if not template.credential_fields():
        return None
    values = complete(template, read(template, file))
    key = load_sealing_key(client.context.seal_key_file)
    return sealed_for_test(template, values, key, owner=PLATFORM if owner == PLATFORM else client.enterprise)


def read(template: Template, file: str | None) -> dict[str, str]:
    """The fields as they are given: from the file, from standard input for `-`, else from a prompt.

    Without a file and without a terminal nothing is given.
    """
    if file is not None:
        return _from_text(_text(file), "standard input" if file == "-" else file)
    fields = template.credential_fields()
    if not output.is_interactive():
        needed = [name for name, field in fields.items() if field.required and not field.default]
        if needed:
            raise InvalidRequestError(
                "invalid-parameters",
                f"{template.slug!r} needs credentials: {', '.join(needed)}. Give them with --credentials-file FILE, "
                "where '-' reads standard input.",
            )
        return {}
    given: dict[str, str] = {}
    for name, field in fields.items():
        label = field.label + ("" if field.required else " (optional)")
        if field.help:
            output.note(field.help)
        given[name] = typer.prompt(
            label,
            default=field.default or ("" if not field.required else None),
            hide_input=field.sensitive,
            show_default=not field.sensitive,
            err=True,
        )
    return {name: value for name, value in given.items() if value}


def _text(file: str) -> str:
    try:
        data = sys.stdin.buffer.read(_MAX_BYTES + 1) if file == "-" else Path(file).read_bytes()
        if len(data) > _MAX_BYTES:
            raise InvalidRequestError(
                "invalid-request", f"The credentials are over {_MAX_BYTES} bytes. Give the fields alone."
            )
        return data.decode()
    except OSError as error:
        raise InvalidRequestError(
            "invalid-request", f"The credentials file {file} cannot be read: {error.strerror}."
        ) from error
    except UnicodeDecodeError:
        raise InvalidRequestError("invalid-request", "The credentials are not UTF-8 text.") from None


def _from_text(text: str, where: str) -> dict[str, str]:
    """A mapping of field to text. Errors quote nothing of it."""
    try:
        content: Any = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506  # BaseLoader makes texts, nothing else
    except yaml.YAMLError:
        content = None
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise InvalidRequestError(
            "invalid-request",
            f"{where} holds no credentials. It must be JSON or YAML, one `field: value` for each field.",
        )
    return {str(name): value for name, value in content.items()}


def _valid(slug: str, document: dict[str, Any]) -> Template:
    report = check(document)
    if report.template is None:
        raise InvalidRequestError(
            "invalid-template", f"The template of {slug!r} is not valid.", errors=[p.as_dict() for p in report.errors]
        )
    return report.template
