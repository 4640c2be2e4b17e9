"""Tokens that callers show."""

from __future__ import annotations

import pytest

from services.executor.callers import Callers
from shared.contracts.errors import DibopError
from shared.security.principals import Role, TokenVerifier
from tests.support.tokens import Tokens


@pytest.mark.parametrize(
    ("enterprise", "role", "subject"),
    [
        ("acme", Role.SERVICE, "exec.v1.acme.shop.run"),
        ("acme", Role.ENTERPRISE_ADMIN, "draft.v1.acme.shop.run"),
        ("acme", Role.PLATFORM_ADMIN, "exec.v1.platform.shop.run"),
        ("platform", Role.PUBLISHER, "draft.v1.acme.shop.run"),
    ],
)
def test_a_good_token_passes(
    tokens: Tokens, verifier: TokenVerifier, enterprise: str, role: Role, subject: str
) -> None:
    callers = Callers(verifier)
    header = f"Bearer {tokens.issue('ada', enterprise, role)}"
    callers.check(header, subject)
    callers.check(header, subject)


@pytest.mark.parametrize(
    ("enterprise", "role", "subject"),
    [
        ("other", Role.ENTERPRISE_ADMIN, "exec.v1.acme.shop.run"),
        ("acme", Role.ENTERPRISE_ADMIN, "exec.v1.platform.shop.run"),
        ("platform", Role.PUBLISHER, "exec.v1.acme.shop.run"),
        ("platform", Role.PLATFORM_ADMIN, "exec.v1.acme.shop.run"),
    ],
)
def test_another_enterprises_token_is_refused(
    tokens: Tokens, verifier: TokenVerifier, enterprise: str, role: Role, subject: str
) -> None:
    with pytest.raises(DibopError) as caught:
        Callers(verifier).check(f"Bearer {tokens.issue('ada', enterprise, role)}", subject)
    assert caught.value.code == "forbidden"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer nonsense", "Basic YTpi"])
def test_a_bad_token_is_refused(verifier: TokenVerifier, header: str) -> None:
    with pytest.raises(DibopError) as caught:
        Callers(verifier).check(header, "exec.v1.acme.shop.run")
    assert caught.value.code == "unauthenticated"


def test_an_expired_token_is_refused(tokens: Tokens, verifier: TokenVerifier) -> None:
    token = tokens.issue("ada", "acme", Role.SERVICE, lifetime_seconds=-3600)
    with pytest.raises(DibopError, match="refused"):
        Callers(verifier).check(f"Bearer {token}", "exec.v1.acme.shop.run")


def test_without_keys_no_token_passes(tokens: Tokens) -> None:
    with pytest.raises(DibopError, match="DIBOP_TOKEN_KEY_FILE") as caught:
        Callers(None).check(f"Bearer {tokens.issue('ada', 'acme', Role.SERVICE)}", "exec.v1.acme.shop.run")
    assert caught.value.code == "unauthenticated"
