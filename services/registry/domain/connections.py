"""Connections: whether what was sent fits the connector's credential schema and the address it is for."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Final

from shared.contracts.commands import ConnectionHealthModel, GivenCredentials, PingModel
from shared.contracts.errors import DibopError
from shared.contracts.names import did_you_mean
from shared.contracts.projections import ConnectionHealth
from shared.contracts.template import CredentialField, Template, credential_origin

HIDDEN: Final = "••••"
_SEAL_BYTES: Final = 48
"""What sealing adds to a value: HPKE's enc (32 bytes) and the tag (16)."""
_SHORTEST_WITH_TAIL: Final = 12


def shown_health(found: ConnectionHealth | None) -> ConnectionHealthModel:
    """Health as people see it, with what has led to its state."""
    if found is None:
        return ConnectionHealthModel()
    ping = found.ping
    return ConnectionHealthModel(
        state=found.state,
        since=found.since,
        cause=_cause(found),
        ping=None if ping is None else PingModel(outcome=ping.outcome, at=ping.at, cause=ping.cause),
    )


def _cause(found: ConnectionHealth) -> str:
    """A refusal of the token endpoint comes before any circuit; the operation is named that has one of its own."""
    if found.auth is not None and found.auth.refused:
        return found.auth.cause
    if found.state == "degraded":
        name, cause = min((name, circuit.cause) for name, circuit in found.circuits.items() if circuit.open)
        return f"{name}: {cause}" if name and cause else cause or name
    return found.ping.cause if found.ping is not None else ""


def check_fields(template: Template, command: GivenCredentials) -> None:
    """Refuse, with every problem at once, what does not fit the template's credential fields.

    Required fields are there, unknown ones are not; sensitive fields come sealed, the others plain.
    """
    fields = template.credential_fields()
    problems = [
        *_unknown(fields, command),
        *(problem for name, field in fields.items() for problem in _misplaced(name, field, command)),
        *_unsealed(command),
    ]
    if problems:
        listed = "; ".join(f"{problem['name']} {problem['problem']}" for problem in problems[:3])
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise DibopError(
            "invalid-request",
            f"The fields do not fit the credentials of {command.connector!r}: {listed}{more}. "
            "Mend each field that `errors` names.",
            errors=problems,
        )


def check_origin(template: Template, command: GivenCredentials) -> None:
    """Refuse values that were sealed for another address than the connector's with these values."""
    origin = credential_origin(template, command.values)
    if command.origin != origin:
        raise DibopError(
            "invalid-request",
            f"The credentials are for {command.origin or 'no address'!r}, and {command.connector!r} sends them to "
            f"{origin!r}. Read the connector again and seal the credentials for its address.",
        )


def visible_fields(values: Mapping[str, str], sealed: Mapping[str, str], masked: Mapping[str, str]) -> dict[str, str]:
    """What people may see: plain values as they are, sealed ones as their masked tails."""
    return {**values, **{name: HIDDEN + masked.get(name, "") for name in sealed}}


def _unknown(fields: Mapping[str, CredentialField], command: GivenCredentials) -> Iterator[dict[str, str]]:
    for name in dict.fromkeys((*command.values, *command.sealed, *command.masked)):
        if name not in fields:
            yield _problem(name, "is not a credential field of this connector", did_you_mean(name, fields, "field"))


def _misplaced(name: str, field: CredentialField, command: GivenCredentials) -> Iterator[dict[str, str]]:
    if field.sensitive:
        if name in command.values:
            yield _problem(name, "is sensitive and came in plain", "seal it, and consider the value known to others")
        if field.required and name not in command.sealed and name not in command.values:
            yield _problem(name, "is required and is missing", "seal a value for it")
        if name in command.masked and name not in command.sealed:
            yield _problem(name, "has a masked tail without a sealed value", "send both or neither")
        return
    if name in command.sealed:
        yield _problem(name, "is not sensitive and came sealed", "send it in `values`")
    if name in command.masked:
        yield _problem(name, "is not sensitive and has a masked tail", "leave the tail out")
    if field.required and not field.default and not command.values.get(name) and name not in command.sealed:
        yield _problem(name, "is required and is missing", "send it in `values`")


def _unsealed(command: GivenCredentials) -> Iterator[dict[str, str]]:
    if command.sealed and not command.kid:
        yield _problem("kid", "is missing, so nobody could open the sealed values", "send the sealing key's id")
    for name, sealed in command.sealed.items():
        size = _decoded_size(sealed)
        if not size:
            yield _problem(name, "is not base64", "send HPKE's enc and ciphertext in standard base64")
        elif command.masked.get(name) and size - _SEAL_BYTES < _SHORTEST_WITH_TAIL:
            yield _problem(
                name,
                f"has a masked tail, and its value has fewer than {_SHORTEST_WITH_TAIL} characters",
                "leave the tail out: it would show too much of the value",
            )


def _decoded_size(sealed: str) -> int:
    """Bytes of a sealed value; 0 for what is not base64."""
    try:
        return len(base64.b64decode(sealed, validate=True))
    except (binascii.Error, ValueError):
        return 0


def _problem(name: str, problem: str, mend: str) -> dict[str, str]:
    return {"name": name, "problem": problem, "allowed": mend}
