"""Scopes: the keys under which limits and circuits lie, and what an operation is held to."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from services.executor.domain.plan import OperationPlan
from services.executor.domain.scope import Scope
from services.executor.resilience.scopes import OuterRates, hold_of, read_rates
from services.executor.resilience.types import Limits

Plan = Callable[..., OperationPlan]
CONNECTION = Scope("acme", "platform", "shop", "c-1", name="default")
KEY = "res:{platform.shop}:acme.c-1"


def test_a_connection_has_limits_of_its_own(operation_plan: Plan) -> None:
    hold = hold_of(CONNECTION, operation_plan(), OuterRates())
    assert (hold.scope.prefix, hold.limits, hold.outer) == (KEY, Limits(60, 5, 30_000), ())
    assert (hold.circuit, hold.connection, hold.slots, hold.health) == ("", None, KEY, "acme.c-1")


def test_without_a_connection_the_scope_is_the_enterprise_at_the_connector(operation_plan: Plan) -> None:
    hold = hold_of(Scope("acme", "platform", "shop", None), operation_plan(), OuterRates())
    assert (hold.scope.prefix, hold.health) == ("res:{platform.shop}:acme.-", "")


@pytest.mark.parametrize(("session", "token"), [("0f2c-1", "0f2c-1"), (None, "-")])
def test_a_drafts_tests_have_a_scope_of_their_own(operation_plan: Plan, session: str | None, token: str) -> None:
    scope = Scope("acme", "platform", "shop", session, draft=True)
    hold = hold_of(scope, operation_plan(), OuterRates({"*": 5}, {"*": 7}))
    assert hold.scope.prefix == f"res:{{platform.shop}}:draft.acme.{token}"
    assert (hold.outer, hold.health) == ((), "")


@pytest.mark.parametrize("session", ["a}:b", "a.b", "line\n", "x" * 65, "\ud800", ""])
def test_a_session_of_any_text_makes_a_plain_key(operation_plan: Plan, session: str) -> None:
    hold = hold_of(Scope("acme", "platform", "shop", session, draft=True), operation_plan(), OuterRates())
    token = hold.scope.prefix.removeprefix("res:{platform.shop}:draft.acme.")
    assert token == "-" or (len(token) == 32 and token.isalnum())


def test_an_operation_that_overrides_the_rate_leaves_the_connections_list(operation_plan: Plan) -> None:
    plan = operation_plan(resilience={"rate_limit_per_minute": 5})
    hold = hold_of(CONNECTION, msgspec.structs.replace(plan, scoped=True, rated=True), OuterRates({"*": 9}))
    assert (hold.scope.prefix, hold.limits.rate, hold.circuit) == (f"{KEY}:op:run", 5, "run")
    assert [(key.suffix, rate) for key, rate in hold.outer] == [("enterprise:acme", 9)]
    assert (hold.connection is not None and hold.connection.prefix, hold.slots) == (KEY, KEY)


def test_an_operation_that_overrides_the_circuit_alone_counts_in_the_connections_list_too(operation_plan: Plan) -> None:
    plan = msgspec.structs.replace(operation_plan(), scoped=True)
    hold = hold_of(CONNECTION, plan, OuterRates())
    assert (hold.scope.prefix, hold.limits.rate) == (f"{KEY}:op:run", 0)
    assert [(key.prefix, rate) for key, rate in hold.outer] == [(KEY, 60)]


def test_outer_limits_are_the_connectors_or_those_of_all(operation_plan: Plan) -> None:
    outer = OuterRates(read_rates("*=100, platform.shop=20"), read_rates("*=500"))
    hold = hold_of(CONNECTION, operation_plan(), outer)
    assert [(key.prefix, rate) for key, rate in hold.outer] == [
        ("res:{platform.shop}:enterprise:acme", 20),
        ("res:{platform.shop}:platform", 500),
    ]


@pytest.mark.parametrize("text", ["shop=5", "platform.shop", "platform.shop=0", "platform.shop=-1", "*=x", "a.b=1;c"])
def test_a_rate_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a rate"):
        read_rates(text)


def test_rates_are_read() -> None:
    assert read_rates("") == {}
    assert read_rates(" platform.shop=20 , *=7,") == {"platform.shop": 20, "*": 7}
