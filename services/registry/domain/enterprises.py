"""Enterprises: whose names may stand in a subject, what the platform cannot own, and how what is told of them adds up.

What is told comes in any order and more than once. Each of an enterprise's properties follows what was told of it
last, by the time at which it happened, so that in the end the order of arrival makes no difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, cast, get_args

from shared.contracts.clock import spelled
from shared.contracts.commands.enterprises import ChangeEnterprise, EnterpriseChange
from shared.contracts.errors import DibopError
from shared.contracts.events import Event
from shared.contracts.names import PLATFORM, is_token

RESERVED: Final = frozenset({"svc"})
"""Names that no enterprise may carry: `_INBOX.svc.>` holds the inboxes of the services."""
_MAX_NAME: Final = 200
_MAX_REASON: Final = 1000


def require_owner(enterprise: str) -> None:
    """Refuse reserved names; `platform` may own connectors."""
    if enterprise in RESERVED:
        raise DibopError(
            "invalid-request",
            f"{enterprise!r} is a reserved name, no enterprise. Send the command for your own enterprise.",
        )


def require_enterprise(enterprise: str) -> None:
    """Refuse what is no enterprise: a reserved name, or `platform`, which has no connections."""
    require_owner(enterprise)
    if enterprise == PLATFORM:
        raise DibopError(
            "invalid-request",
            f"{PLATFORM!r} is the owner of the catalogue and has no connections. "
            "Create the connection in the enterprise that will use it.",
        )


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """When something happened; what happened in the same millisecond goes by its place in the stream."""

    at: str = ""
    sequence: int = 0


NEVER: Final = Moment()


@dataclass(frozen=True, slots=True)
class Told:
    """Something that happened to an enterprise. `name` and `sdk_access` are None where nothing is said of them."""

    enterprise: str
    what: EnterpriseChange
    moment: Moment
    name: str | None = None
    reason: str = ""
    sdk_access: bool | None = None


@dataclass(frozen=True, slots=True)
class EnterpriseRecord:
    """What is known of an enterprise. The moments say when each of its properties was last told."""

    id: str
    name: str | None = None
    named: Moment = NEVER
    suspended: bool = False
    reason: str = ""
    changed: Moment = NEVER
    sdk_access: bool = True
    sdk_changed: Moment = NEVER
    generation: int = 0

    @property
    def standing(self) -> tuple[bool, bool]:
        """What the services go by."""
        return self.suspended, self.sdk_access

    @property
    def known(self) -> tuple[object, ...]:
        """All that people are shown."""
        times = (self.named.at, self.changed.at, self.sdk_changed.at)
        return self.name, self.suspended, self.reason, self.sdk_access, *times


def added_up(record: EnterpriseRecord, told: Told) -> EnterpriseRecord:
    """The record with what was told; unchanged where something newer, or this itself, was told before."""
    moment = told.moment
    if told.what == "registered" and moment > record.named:
        record = replace(record, name=told.name, named=moment)
    if told.what in ("suspended", "resumed") and moment > record.changed:
        record = replace(record, suspended=told.what == "suspended", reason=told.reason, changed=moment)
    if told.sdk_access is not None and moment > record.sdk_changed:
        record = replace(record, sdk_access=told.sdk_access, sdk_changed=moment)
    return record


def read_event(event: Event, *, stored_at: datetime, sequence: int) -> Told:
    """What an event tells; ValueError, saying why, for one that tells nothing of an enterprise.

    Nothing can have happened after the event was stored: a clock that goes wrong would else win for ever.
    """
    if event.what not in get_args(EnterpriseChange):
        raise ValueError(f"{event.what[:40]!r} is not among {', '.join(get_args(EnterpriseChange))}")
    what = cast("EnterpriseChange", event.what)
    if not _is_an_enterprise(event.identifier):
        raise ValueError(f"{event.identifier[:80]!r} is no enterprise")
    if not isinstance(event.data, Mapping):
        raise ValueError("the data is no JSON object")  # noqa: TRY004  # one error for all that is wrong with an event
    name, sdk_access = event.data.get("name"), event.data.get("sdk_access")
    if what == "sdk_access_changed" and not isinstance(sdk_access, bool):
        raise ValueError("`sdk_access` must be true or false")
    may_tell = what in ("registered", "sdk_access_changed") and isinstance(sdk_access, bool)
    return Told(
        enterprise=event.identifier,
        what=what,
        moment=Moment(min(_instant(event.time) or spelled(stored_at), spelled(stored_at)), sequence),
        name=name[:_MAX_NAME].replace("\0", " ") if isinstance(name, str) else None,
        reason=_reason(event.data) if what == "suspended" else "",
        sdk_access=sdk_access if may_tell else None,
    )


def read_command(command: ChangeEnterprise, at: str) -> Told:
    """What a person tells; `invalid-request` for what is no enterprise or says too little."""
    if not _is_an_enterprise(command.id):
        raise DibopError(
            "invalid-request", f"{command.id!r} is no enterprise and nothing was changed. Name the enterprise."
        )
    if command.what == "sdk_access_changed" and command.sdk_access is None:
        raise DibopError("invalid-request", "Nothing was changed: send `sdk_access`, true or false.")
    may_tell = command.what in ("registered", "sdk_access_changed")
    return Told(
        enterprise=command.id,
        what=command.what,
        moment=Moment(at),
        name=command.name,
        reason=command.reason if command.what == "suspended" else "",
        sdk_access=command.sdk_access if may_tell else None,
    )


def said(told: Told) -> dict[str, Any]:
    """The data of the event that tells the same."""
    data = {"name": told.name, "reason": told.reason or None, "sdk_access": told.sdk_access}
    return {name: value for name, value in data.items() if value is not None}


def _is_an_enterprise(identifier: str) -> bool:
    return is_token(identifier) and identifier not in {*RESERVED, PLATFORM}


def _instant(text: str) -> str | None:
    try:
        instant = datetime.fromisoformat(text)
        return spelled(instant) if instant.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _reason(data: Mapping[str, Any]) -> str:
    reason = data.get("reason")
    return reason[:_MAX_REASON].replace("\0", " ") if isinstance(reason, str) else ""
