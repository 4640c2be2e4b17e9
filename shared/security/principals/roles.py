"""Roles and what each may do: the one table that every service asks, and that docs/reference/roles.md is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from shared.contracts.errors import DibopError
from shared.contracts.names import PLATFORM
from shared.security.principals.standing import GOOD, Standing


class Role(StrEnum):
    PLATFORM_ADMIN = "platform_admin"
    ENTERPRISE_ADMIN_SDK = "enterprise_admin_sdk"
    ENTERPRISE_ADMIN = "enterprise_admin"
    VIEWER = "viewer"
    SERVICE = "service"
    PUBLISHER = "publisher"
    """The publisher itself, which alone adds versions to the registry."""
    EXECUTOR = "executor"
    """The executors themselves, which alone seal again and store what they were given in exchange."""


class Action(StrEnum):
    """What a command needs; `ALLOWED` says who may."""

    EDIT_DRAFT = "edit drafts"
    TEST_DRAFT = "test drafts"
    PROBE_DRAFT = "probe drafts"
    PUBLISH = "publish and withdraw versions"
    REVIEW = "decide reviews"
    FOLLOW_REVIEWS = "read and comment reviews"
    MANAGE_CONNECTIONS = "manage connections"
    EXECUTE = "execute operations"
    READ = "read connectors and connections"
    READ_AUDIT = "read the audit log"
    FOLLOW_EVENTS = "follow events by durable consumers"
    MANAGE_ENTERPRISES = "see, suspend and resume enterprises"
    ROTATE_KEYS = "rotate the sealing keys"
    MEND_PROJECTIONS = "check and rebuild projections"
    ADD_VERSION = "add versions"
    SET_VERSION_STATE = "set the states of versions"
    STORE_TOKEN = "store refresh tokens"
    RESEAL = "seal credentials again"
    RECORD_CONSENT = "record consents"
    FETCH_TEST_CREDENTIALS = "fetch test credentials"
    APPEND_AUDIT = "append to the audit log"


_AUTHORS: Final = frozenset({Role.PLATFORM_ADMIN, Role.ENTERPRISE_ADMIN_SDK})
_ADMINS: Final = frozenset({Role.ENTERPRISE_ADMIN_SDK, Role.ENTERPRISE_ADMIN})

ALLOWED: Final[Mapping[Action, frozenset[Role]]] = {
    Action.EDIT_DRAFT: _AUTHORS,
    Action.TEST_DRAFT: _AUTHORS,
    Action.PUBLISH: _AUTHORS,
    Action.REVIEW: frozenset({Role.PLATFORM_ADMIN}),
    Action.FOLLOW_REVIEWS: _AUTHORS,
    Action.MANAGE_CONNECTIONS: _ADMINS,
    Action.EXECUTE: frozenset({*_ADMINS, Role.SERVICE}),
    Action.READ: frozenset({*_AUTHORS, *_ADMINS, Role.VIEWER, Role.SERVICE, Role.PUBLISHER}),
    Action.READ_AUDIT: frozenset({Role.PLATFORM_ADMIN, *_ADMINS}),
    Action.FOLLOW_EVENTS: frozenset({*_ADMINS, Role.SERVICE}),
    Action.MANAGE_ENTERPRISES: frozenset({Role.PLATFORM_ADMIN}),
    Action.ROTATE_KEYS: frozenset({Role.PLATFORM_ADMIN}),
    Action.MEND_PROJECTIONS: frozenset({Role.PLATFORM_ADMIN}),
    Action.ADD_VERSION: frozenset({Role.PUBLISHER}),
    Action.SET_VERSION_STATE: frozenset({Role.PUBLISHER}),
    Action.PROBE_DRAFT: frozenset({Role.PUBLISHER}),
    Action.STORE_TOKEN: frozenset({Role.EXECUTOR}),
    Action.RESEAL: frozenset({Role.EXECUTOR}),
    Action.RECORD_CONSENT: frozenset({Role.EXECUTOR}),
    Action.FETCH_TEST_CREDENTIALS: frozenset({Role.PUBLISHER}),
    Action.APPEND_AUDIT: frozenset({Role.PUBLISHER, Role.EXECUTOR}),
}

SERVICE_ROLES: Final = frozenset({Role.PUBLISHER, Role.EXECUTOR})
"""The platform's own services: they count in every enterprise, where their principal is of `platform`."""
READ_EVERYWHERE: Final = frozenset({Action.READ, Action.READ_AUDIT})
"""What a Platform Admin may do in every enterprise; all else they do in `platform` alone."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: `subject` is the person or service, `enterprise` the one it belongs to, which stands so."""

    subject: str
    enterprise: str
    roles: frozenset[Role]
    standing: Standing = GOOD

    def may(self, action: Action, enterprise: str) -> bool:
        """True where a role that counts in `enterprise` allows `action`.

        Platform Admin counts for `platform`, and for reading in every enterprise. Publisher and executor count
        everywhere, for principals of `platform` alone. Every other role counts in the principal's own enterprise,
        which `platform` is not, as far as its standing allows.
        """
        return bool(self._roles_in(enterprise, action) & ALLOWED[action])

    def _roles_in(self, enterprise: str, action: Action) -> frozenset[Role]:
        counting = self._own_roles() if enterprise == self.enterprise != PLATFORM else frozenset()
        if enterprise == PLATFORM or action in READ_EVERYWHERE:
            counting |= self.roles & {Role.PLATFORM_ADMIN}
        if self.enterprise == PLATFORM:
            counting |= self.roles & SERVICE_ROLES
        return counting

    def _own_roles(self) -> frozenset[Role]:
        own = self.roles - SERVICE_ROLES - {Role.PLATFORM_ADMIN}
        if self.standing.suspended:
            return frozenset()
        if not self.standing.sdk_access and Role.ENTERPRISE_ADMIN_SDK in own:
            return own - {Role.ENTERPRISE_ADMIN_SDK} | {Role.ENTERPRISE_ADMIN}
        return own


def authorise(principal: Principal, action: Action, enterprise: str) -> None:
    """Refuse with `forbidden`, naming the roles that would do; whose enterprise is in the way, with that."""
    if principal.may(action, enterprise):
        return
    if replace(principal, standing=GOOD).may(action, enterprise):
        raise suspended(enterprise) if principal.standing.suspended else _without_sdk(principal, action, enterprise)
    roles = " or ".join(sorted(role.value for role in ALLOWED[action]))
    raise DibopError(
        "forbidden",
        f"{principal.subject!r} may not {action.value} of enterprise {enterprise!r}: that takes {roles} there.",
    )


def suspended(enterprise: str) -> DibopError:
    """The refusal of whatever a suspended enterprise asks for."""
    return DibopError(
        "enterprise-suspended",
        f"Enterprise {enterprise[:80]!r} is suspended: nothing is executed or changed for it until it is resumed. "
        "Ask the platform's operator.",
    )


def _without_sdk(principal: Principal, action: Action, enterprise: str) -> DibopError:
    return DibopError(
        "forbidden",
        f"{principal.subject!r} may not {action.value} of enterprise {enterprise!r}: the enterprise has no SDK access. "
        "Ask the platform's operator for it.",
    )
