"""Credentials on the way in: checked against the template, split, and sealed by whoever receives them first."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from shared.contracts.commands import (
    Connection,
    CreateConnection,
    RotateConnection,
    SaveTestCredentials,
    TestCredentials,
)
from shared.contracts.errors import DibopError
from shared.contracts.names import did_you_mean
from shared.contracts.template import Template, credential_origin
from shared.security.sealing import SealContext, SealingKey, SealUse, masked_tail


@dataclass(frozen=True, slots=True)
class Sealed:
    """What may cross the bus: `values` as they are, `sealed` for executors alone, `masked` tails to show."""

    id: str
    origin: str
    kid: str
    values: dict[str, str]
    sealed: dict[str, str]
    masked: dict[str, str]


def complete(template: Template, given: Mapping[str, str]) -> dict[str, str]:
    """The credential fields with their defaults; unknown and missing ones are refused, all at once."""
    fields = template.credential_fields()
    errors = [
        {"name": name, "problem": "is no credential of this connector", "allowed": did_you_mean(name, fields, "field")}
        for name in given
        if name not in fields
    ]
    values: dict[str, str] = {}
    for name, spec in fields.items():
        value = given.get(name, spec.default)
        if value not in {None, ""}:
            values[name] = str(value)
        elif spec.required:
            errors.append({"name": name, "problem": "is missing", "allowed": spec.label or "a value"})
    if errors:
        names = ", ".join(error["name"] for error in errors)
        raise DibopError(
            "invalid-parameters", f"The credentials for {template.slug!r} do not fit: {names}.", errors=errors
        )
    return values


def seal(
    template: Template,
    values: Mapping[str, str],
    key: SealingKey,
    *,
    use: SealUse,
    enterprise: str,
    owner: str,
    identifier: str | None = None,
) -> Sealed:
    """Seal the sensitive fields, each bound to this use, enterprise, connector, field and host.

    `identifier` is what they are sealed for: a connection that there is; something new by default.
    """
    fields = template.credential_fields()
    identifier = identifier or str(uuid.uuid4())
    secret = {name: value for name, value in values.items() if fields[name].sensitive}
    plain = {name: value for name, value in values.items() if name not in secret}
    origin = credential_origin(template, plain)
    context = SealContext(use, enterprise, owner, template.slug, identifier, origin)
    return Sealed(
        id=identifier,
        origin=origin,
        kid=key.kid,
        values=plain,
        sealed=key.seal_all(secret, context),
        masked={name: masked_tail(value) for name, value in secret.items()},
    )


def connection_command(
    template: Template,
    values: Mapping[str, str],
    key: SealingKey,
    *,
    enterprise: str,
    owner: str,
    name: str,
    policy: str,
) -> CreateConnection:
    sealed = seal(template, values, key, use="connection", enterprise=enterprise, owner=owner)
    return CreateConnection(
        connector=template.slug,
        name=name,
        id=sealed.id,
        owner=owner,
        origin=sealed.origin,
        kid=sealed.kid,
        values=sealed.values,
        sealed=sealed.sealed,
        masked=sealed.masked,
        version_policy=policy,
    )


def rotation_command(
    template: Template, values: Mapping[str, str], key: SealingKey, connection: Connection
) -> RotateConnection:
    """Other credentials for a connection that there is."""
    sealed = seal(
        template,
        values,
        key,
        use="connection",
        enterprise=connection.enterprise,
        owner=connection.owner,
        identifier=connection.id,
    )
    return RotateConnection(
        connector=connection.connector,
        name=connection.name,
        id=sealed.id,
        origin=sealed.origin,
        kid=sealed.kid,
        values=sealed.values,
        sealed=sealed.sealed,
        masked=sealed.masked,
    )


def kept_for_tests(
    template: Template, values: Mapping[str, str], key: SealingKey, *, owner: str
) -> SaveTestCredentials:
    """For tests of a draft in the hours to come."""
    sealed = seal(template, values, key, use="test", enterprise=owner, owner=owner)
    return SaveTestCredentials(
        connector=template.slug,
        id=sealed.id,
        origin=sealed.origin,
        kid=sealed.kid,
        values=sealed.values,
        sealed=sealed.sealed,
        masked=sealed.masked,
    )


def sealed_for_test(template: Template, values: Mapping[str, str], key: SealingKey, *, owner: str) -> TestCredentials:
    """For one test run of a draft, which runs in its owner's name."""
    sealed = seal(template, values, key, use="test", enterprise=owner, owner=owner)
    return TestCredentials(
        id=sealed.id, origin=sealed.origin, kid=sealed.kid, values=sealed.values, sealed=sealed.sealed
    )
