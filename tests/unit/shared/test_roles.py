"""Roles: the matrix, row by row."""

import pytest

from shared.contracts.errors import DibopError
from shared.security.principals import ALLOWED, Action, Principal, Role, authorise


def person(*roles: Role, enterprise: str = "acme") -> Principal:
    return Principal("ann", enterprise, frozenset(roles))


@pytest.mark.parametrize(
    ("principal", "action", "enterprise", "allowed"),
    [
        (person(Role.PLATFORM_ADMIN), Action.EDIT_DRAFT, "platform", True),
        (person(Role.PLATFORM_ADMIN), Action.EDIT_DRAFT, "acme", False),
        (person(Role.PLATFORM_ADMIN), Action.READ, "globex", True),
        (person(Role.PLATFORM_ADMIN), Action.MANAGE_CONNECTIONS, "acme", False),
        (person(Role.ENTERPRISE_ADMIN_SDK), Action.EDIT_DRAFT, "acme", True),
        (person(Role.ENTERPRISE_ADMIN_SDK), Action.EDIT_DRAFT, "platform", False),
        (person(Role.ENTERPRISE_ADMIN_SDK), Action.EDIT_DRAFT, "globex", False),
        (person(Role.ENTERPRISE_ADMIN_SDK), Action.PUBLISH, "acme", True),
        (person(Role.ENTERPRISE_ADMIN), Action.PUBLISH, "acme", False),
        (person(Role.ENTERPRISE_ADMIN), Action.MANAGE_CONNECTIONS, "acme", True),
        (person(Role.ENTERPRISE_ADMIN), Action.MANAGE_CONNECTIONS, "globex", False),
        (person(Role.VIEWER), Action.READ, "acme", True),
        (person(Role.VIEWER), Action.READ, "globex", False),
        (person(Role.VIEWER), Action.READ_AUDIT, "acme", False),
        (person(Role.SERVICE), Action.READ, "acme", True),
        (person(Role.PUBLISHER, enterprise="platform"), Action.ADD_VERSION, "acme", True),
        (person(Role.EXECUTOR, enterprise="platform"), Action.APPEND_AUDIT, "acme", True),
        (person(Role.EXECUTOR, enterprise="platform"), Action.READ, "acme", False),
        (person(Role.EXECUTOR, enterprise="acme"), Action.MANAGE_CONNECTIONS, "acme", False),
        (person(Role.EXECUTOR, enterprise="acme"), Action.APPEND_AUDIT, "acme", False),
        (person(Role.EXECUTOR, enterprise="acme"), Action.STORE_TOKEN, "globex", False),
        (person(Role.PUBLISHER, enterprise="acme"), Action.READ, "acme", False),
        (person(Role.EXECUTOR, enterprise="platform"), Action.STORE_TOKEN, "acme", True),
        (person(Role.EXECUTOR, enterprise="platform"), Action.RESEAL, "acme", True),
        (person(Role.PUBLISHER, enterprise="platform"), Action.STORE_TOKEN, "acme", False),
        (person(*set(Role) - {Role.EXECUTOR}), Action.STORE_TOKEN, "acme", False),
        (person(Role.PLATFORM_ADMIN), Action.ROTATE_KEYS, "platform", True),
        (person(Role.PLATFORM_ADMIN), Action.ROTATE_KEYS, "acme", False),
        (person(Role.ENTERPRISE_ADMIN_SDK), Action.ROTATE_KEYS, "acme", False),
        (person(Role.ENTERPRISE_ADMIN), Action.EXECUTE, "acme", True),
        (person(Role.ENTERPRISE_ADMIN_SDK), Action.EXECUTE, "acme", True),
        (person(Role.SERVICE), Action.EXECUTE, "acme", True),
        (person(Role.SERVICE), Action.EXECUTE, "globex", False),
        (person(Role.VIEWER), Action.EXECUTE, "acme", False),
        (person(Role.PLATFORM_ADMIN), Action.EXECUTE, "acme", False),
        (person(Role.PLATFORM_ADMIN, enterprise="platform"), Action.EXECUTE, "platform", False),
        (person(Role.PLATFORM_ADMIN, Role.ENTERPRISE_ADMIN_SDK), Action.ADD_VERSION, "acme", False),
        (person(), Action.READ, "acme", False),
        (person(Role.ENTERPRISE_ADMIN_SDK, enterprise="platform"), Action.EDIT_DRAFT, "platform", False),
        (person(Role.VIEWER, enterprise="platform"), Action.READ, "platform", False),
    ],
)
def test_the_role_matrix(principal: Principal, action: Action, enterprise: str, allowed: bool) -> None:
    assert principal.may(action, enterprise) is allowed
    if allowed:
        authorise(principal, action, enterprise)
    else:
        with pytest.raises(DibopError, match="may not") as caught:
            authorise(principal, action, enterprise)
        assert caught.value.code == "forbidden"


def test_every_action_has_a_row() -> None:
    assert set(ALLOWED) == set(Action)
