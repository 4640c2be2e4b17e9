"""Enterprises: whose names may stand in a subject, and what the platform itself cannot own."""

from __future__ import annotations

from typing import Final

from shared.contracts.errors import DibopError
from shared.contracts.names import PLATFORM

RESERVED: Final = frozenset({"svc"})
"""Names that no enterprise may carry: `_INBOX.svc.>` holds the inboxes of the services."""


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
