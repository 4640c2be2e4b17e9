"""Consent: a connection's values, opened as they were sealed and sealed for where a version sends them.

The person's token has been verified here, in the executor: no service that stores ciphertexts can have them sealed for
another address.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.executor.domain.base import base_of
from services.executor.domain.oauth import token_url_of
from services.executor.domain.plan import ConnectorPlan
from services.executor.keys import Ring
from shared.contracts.commands import RecordConsent
from shared.contracts.errors import DibopError
from shared.contracts.projections import ConnectionEntry
from shared.contracts.template import origin_of
from shared.security.sealing import SealContext

_ITS_OWN: Final = "it is not among the connection's"


def resealed(entry: ConnectionEntry, plan: ConnectorPlan, ring: Ring, *, version: str, actor: str) -> RecordConsent:
    """The command that records the consent; `conflict` where the version asks for other credentials.

    What the version has no field for is left out.
    """
    _check_fields(entry, plan, version)
    names = {field.name: field for field in plan.credential_fields}
    values = {name: value for name, value in entry.values.items() if name in names}
    origin = _origin(plan, values)
    before = SealContext("connection", entry.enterprise, entry.owner, entry.connector, entry.id, entry.origin)
    opened = {
        name: ring.open(sealed, before.for_field(name), entry.kid)
        for name, sealed in entry.sealed.items()
        if name in names
    }
    key = ring.sealing_key
    after = SealContext("connection", entry.enterprise, entry.owner, entry.connector, entry.id, origin)
    return RecordConsent(
        connector=entry.connector,
        name=entry.name,
        id=entry.id,
        generation=entry.generation,
        version=version,
        actor=actor,
        origin=origin,
        kid=key.kid if opened else "",
        values=values,
        sealed=key.seal_all(opened, after),
    )


def _check_fields(entry: ConnectionEntry, plan: ConnectorPlan, version: str) -> None:
    """Refuse where a field is missing, or is sensitive now and was not, or the other way round."""
    problems = [
        {"name": field.name, "problem": _ITS_OWN if field.name not in there else "it was kept otherwise"}
        for field in plan.credential_fields
        for there in ({*entry.values, *entry.sealed},)
        if field.name in (entry.values if field.sensitive else entry.sealed)
        or (field.required and field.default is None and field.name not in there)
    ]
    if problems:
        named = ", ".join(problem["name"] for problem in problems)
        raise DibopError(
            "conflict",
            f"Version {version} of {entry.connector!r} asks for other credentials: {named}. Give them all anew, which "
            f"consents as well: dibop connection rotate {entry.connector} --name {entry.name}",
            errors=problems,
        )


def _origin(plan: ConnectorPlan, values: Mapping[str, str]) -> str:
    """Where the version sends the credentials first."""
    shown = {field.name: field.default for field in plan.credential_fields if field.default is not None} | dict(values)
    oauth = plan.auth.oauth
    return origin_of(base_of(plan.base_url, shown) if oauth is None else token_url_of(oauth, shown))
