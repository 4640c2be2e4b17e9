"""Credentials that a person types: sealed to the executors' key as they come in, and kept nowhere else."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

from services.console.api.dependencies import ABSENT, Desk
from services.console.api.models import View
from services.console.api.templates import valid
from shared.contracts import commands as c
from shared.contracts.errors import DibopError
from shared.contracts.limits import MAX_CREDENTIAL_CHARACTERS, MAX_FIELDS
from shared.contracts.template import CredentialField, Template
from shared.contracts.versions import USABLE, chosen, number
from shared.security.sealing import SealingKey

CredentialValue = Annotated[SecretStr, Field(max_length=MAX_CREDENTIAL_CHARACTERS)]
Credentials = Annotated[
    dict[str, CredentialValue],
    Field(
        max_length=MAX_FIELDS,
        description="The credential fields by name. They are sealed at once, and nobody can read them back.",
        examples=[{"api_key": "…"}],
    ),
]


class CredentialForm(View):
    """What a connection to a connector asks for. `version` is null where only a draft is there.

    With `needs_consent` a connection has to be authorized by a person before it can be used.
    """

    slug: str
    owner: str
    version: str | None
    version_policy: str
    auth_type: str
    needs_consent: bool
    fields: dict[str, CredentialField]


def revealed(credentials: dict[str, SecretStr]) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in credentials.items()}


def sealing_key(desk: Desk) -> SealingKey:
    """The key to seal to; it is configuration, never asked from a service that could swap it."""
    key = desk.parts.sealing_key
    if key is None:
        raise DibopError(
            "overloaded",
            "This console has no sealing key, so that no credentials can be given here. Have an operator set "
            "DIBOP_SEAL_KEY_FILE.",
        )
    return key


async def connectable(desk: Desk, slug: str) -> tuple[str, Template, str | None]:
    """What a connection is made for: owner, template and version; the latest published one, else the draft."""
    try:
        version = await desk.registry(desk.enterprise, "version.get", c.GetVersion(slug=slug), c.Version)
    except DibopError as error:
        if error.code not in ABSENT:
            raise
        owner = await desk.owner(slug, None)
        draft = await desk.registry(owner, "draft.get", c.GetDraft(slug=slug), c.Draft)
        return owner, valid(slug, draft.document), None
    return version.owner, valid(slug, version.document), version.version


async def template_of(desk: Desk, connection: c.Connection) -> Template:
    """The template whose credentials a connection holds: of the version that its policy takes, else of the draft."""
    slug, enterprise = connection.connector, connection.enterprise
    shown = await desk.registry(enterprise, "connector.show", c.ShowConnector(slug=slug), c.Connector)
    taken = chosen(shown.versions, connection.version_policy, USABLE)
    if taken is not None:
        body = c.GetVersion(slug=slug, version=taken.version)
        return valid(slug, (await desk.registry(enterprise, "version.get", body, c.Version)).document)
    draft = await desk.registry(connection.owner, "draft.get", c.GetDraft(slug=slug), c.Draft)
    return valid(slug, draft.document)


async def draft_template(desk: Desk, slug: str, owner: str) -> Template:
    """The template of a draft that is to be tested."""
    draft = await desk.registry(owner, "draft.get", c.GetDraft(slug=slug), c.Draft)
    return valid(slug, draft.document)


def form_of(slug: str, owner: str, template: Template, version: str | None) -> CredentialForm:
    return CredentialForm(
        slug=slug,
        owner=owner,
        version=version,
        version_policy=policy_of(version),
        auth_type=template.auth_type,
        needs_consent=needs_consent(template),
        fields=template.credential_fields(),
    )


def policy_of(version: str | None) -> str:
    """What a connection follows that is made for this version."""
    return f"^{number(version)[0]}" if version else "^1"


def needs_consent(template: Template) -> bool:
    return template.auth_type == "oauth2" and template.grant_type == "authorization_code"
