"""Who commands in random lives, and who may: the roles table once more, by hand, for what is tried there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from shared.security.principals import Role

Wish = Literal["author", "connect", "decide"]
"""Drafting, testing, publishing and following reviews; managing connections; deciding reviews and telling of
enterprises."""
PLATFORM: Final = "platform"
HOME: Final = "home"
"""Stands for the enterprise of a history, as `OTHER` does for its neighbour."""
OTHER: Final = "other"


@dataclass(frozen=True)
class Person:
    name: str
    home: str
    role: Role

    def __repr__(self) -> str:
        return self.name


PAT: Final = Person("pat", PLATFORM, Role.PLATFORM_ADMIN)
PAM: Final = Person("pam", PLATFORM, Role.PLATFORM_ADMIN)
ADA: Final = Person("ada", HOME, Role.ENTERPRISE_ADMIN_SDK)
BOB: Final = Person("bob", HOME, Role.ENTERPRISE_ADMIN_SDK)
KIM: Final = Person("kim", HOME, Role.ENTERPRISE_ADMIN)
VIC: Final = Person("vic", HOME, Role.VIEWER)
EVE: Final = Person("eve", OTHER, Role.ENTERPRISE_ADMIN_SDK)
PEOPLE: Final = (PAT, PAM, ADA, BOB, KIM, VIC, EVE)


@dataclass
class Standing:
    """How an enterprise stands, and when each of the two was last told."""

    suspended: bool = False
    sdk: bool = True
    told_state: str = ""
    told_sdk: str = ""


def refusal(person: Person, enterprise: str, wish: Wish, standing: Standing) -> str | None:
    """The error that `person` gets for `wish` in `enterprise`, which stands so; None where it is allowed."""
    if enterprise == PLATFORM:
        allowed = person.role is Role.PLATFORM_ADMIN and wish != "connect"
        return None if allowed else "forbidden"
    roles = {
        "author": {Role.ENTERPRISE_ADMIN_SDK},
        "connect": {Role.ENTERPRISE_ADMIN_SDK, Role.ENTERPRISE_ADMIN},
        "decide": set(),
    }[wish]
    if person.home != enterprise or person.role not in roles:
        return "forbidden"
    if standing.suspended:
        return "enterprise-suspended"
    return "forbidden" if wish == "author" and not standing.sdk else None
