"""Who sees what: every command starts here."""

from __future__ import annotations

from services.registry.domain.enterprises import require_owner
from services.registry.handlers.ports import Caller
from shared.contracts.names import PLATFORM
from shared.security.principals import Action, Principal, authorise


def admit(caller: Caller, action: Action) -> None:
    """Refuse a caller whose roles do not allow `action` in the subject's enterprise."""
    require_owner(caller.enterprise)
    authorise(caller.principal, action, caller.enterprise)


def sees_drafts(principal: Principal, owner: str) -> bool:
    """True for the owner's authors, and for the publisher, which publishes what they wrote."""
    return principal.may(Action.EDIT_DRAFT, owner) or principal.may(Action.ADD_VERSION, owner)


def owners(enterprise: str) -> list[str]:
    """Whose connectors an enterprise sees, its own first."""
    return [enterprise] if enterprise == PLATFORM else [enterprise, PLATFORM]
