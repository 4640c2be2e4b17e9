"""Roles: the matrix, row by row."""

import pytest

from shared.contracts.errors import DibopError
from shared.security.principals import ALLOWED, Action, Principal, Role, Standing, authorise


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


SUSPENDED = Standing(suspended=True)
WITHOUT_SDK = Standing(sdk_access=False)


@pytest.mark.parametrize("role", [Role.ENTERPRISE_ADMIN_SDK, Role.ENTERPRISE_ADMIN, Role.VIEWER, Role.SERVICE])
def test_a_suspended_enterprises_people_may_nothing_and_are_told_why(role: Role) -> None:
    principal = Principal("ada", "acme", frozenset({role}), SUSPENDED)

    assert not any(principal.may(action, "acme") for action in Action)
    with pytest.raises(DibopError) as refused:
        authorise(principal, Action.READ, "acme")
    assert refused.value.code == "enterprise-suspended"


def test_what_was_forbidden_before_is_no_news_of_a_suspension() -> None:
    for principal, enterprise in (
        (Principal("vic", "acme", frozenset({Role.VIEWER}), SUSPENDED), "acme"),
        (Principal("ada", "acme", frozenset({Role.ENTERPRISE_ADMIN_SDK}), SUSPENDED), "other"),
    ):
        with pytest.raises(DibopError) as refused:
            authorise(principal, Action.EDIT_DRAFT, enterprise)
        assert refused.value.code == "forbidden"


def test_a_platform_admin_of_a_suspended_enterprise_can_still_resume_it() -> None:
    both = frozenset({Role.PLATFORM_ADMIN, Role.ENTERPRISE_ADMIN_SDK})
    principal = Principal("ada", "local", both, SUSPENDED)

    assert principal.may(Action.MANAGE_ENTERPRISES, "platform")
    assert principal.may(Action.READ, "local")
    assert not principal.may(Action.MANAGE_CONNECTIONS, "local")


def test_the_platforms_own_services_still_work_for_a_suspended_enterprise() -> None:
    assert Principal("executor", "platform", frozenset({Role.EXECUTOR})).may(Action.STORE_TOKEN, "acme")


def test_without_sdk_access_an_sdk_admin_is_an_admin() -> None:
    with_sdk = Principal("ada", "acme", frozenset({Role.ENTERPRISE_ADMIN_SDK}), WITHOUT_SDK)
    admin = Principal("ada", "acme", frozenset({Role.ENTERPRISE_ADMIN}))

    assert [with_sdk.may(action, "acme") for action in Action] == [admin.may(action, "acme") for action in Action]
    with pytest.raises(DibopError, match="has no SDK access") as refused:
        authorise(with_sdk, Action.PUBLISH, "acme")
    assert refused.value.code == "forbidden"


def test_without_sdk_access_other_roles_stay_what_they_are() -> None:
    viewer = Principal("vic", "acme", frozenset({Role.VIEWER}), WITHOUT_SDK)

    assert viewer.may(Action.READ, "acme")
    assert not viewer.may(Action.MANAGE_CONNECTIONS, "acme")
