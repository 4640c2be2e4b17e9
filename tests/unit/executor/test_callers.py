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
        ("acme", Role.SERVICE, "execas.v1.acme.shop.run"),
        ("acme", Role.ENTERPRISE_ADMIN, "execas.v1.acme.shop.run"),
        ("acme", Role.ENTERPRISE_ADMIN_SDK, "execas.v1.acme.shop.run"),
    ],
)
async def test_a_good_token_passes(
    tokens: Tokens, verifier: TokenVerifier, enterprise: str, role: Role, subject: str
) -> None:
    callers = Callers(verifier)
    header = f"Bearer {tokens.issue('ada', enterprise, role)}"
    await callers.admit(header, subject)
    await callers.admit(header, subject)


@pytest.mark.parametrize(
    ("enterprise", "role", "subject"),
    [
        ("other", Role.ENTERPRISE_ADMIN, "exec.v1.acme.shop.run"),
        ("acme", Role.ENTERPRISE_ADMIN, "exec.v1.platform.shop.run"),
        ("platform", Role.PUBLISHER, "exec.v1.acme.shop.run"),
        ("platform", Role.PLATFORM_ADMIN, "exec.v1.acme.shop.run"),
        ("other", Role.PUBLISHER, "draft.v1.acme.shop.run"),
        ("other", Role.ENTERPRISE_ADMIN, "execas.v1.acme.shop.run"),
        ("other", Role.SERVICE, "execas.v1.acme.shop.run"),
        ("acme", Role.VIEWER, "execas.v1.acme.shop.run"),
        ("acme", Role.PLATFORM_ADMIN, "execas.v1.acme.shop.run"),
        ("platform", Role.PUBLISHER, "execas.v1.acme.shop.run"),
        ("platform", Role.EXECUTOR, "execas.v1.acme.shop.run"),
        ("platform", Role.PLATFORM_ADMIN, "execas.v1.platform.shop.run"),
    ],
)
async def test_a_token_that_does_not_count_there_is_refused(
    tokens: Tokens, verifier: TokenVerifier, enterprise: str, role: Role, subject: str
) -> None:
    with pytest.raises(DibopError) as caught:
        await Callers(verifier).admit(f"Bearer {tokens.issue('ada', enterprise, role)}", subject)
    assert caught.value.code == "forbidden"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer nonsense", "Basic YTpi"])
async def test_a_bad_token_is_refused(verifier: TokenVerifier, header: str | None) -> None:
    with pytest.raises(DibopError) as caught:
        await Callers(verifier).admit(header, "exec.v1.acme.shop.run")
    assert caught.value.code == "unauthenticated"


async def test_an_expired_token_is_refused(tokens: Tokens, verifier: TokenVerifier) -> None:
    token = tokens.issue("ada", "acme", Role.SERVICE, lifetime_seconds=-3600)
    with pytest.raises(DibopError, match="refused"):
        await Callers(verifier).admit(f"Bearer {token}", "exec.v1.acme.shop.run")


async def test_without_keys_no_token_passes(tokens: Tokens) -> None:
    with pytest.raises(DibopError, match="DIBOP_TOKEN_KEY_FILE") as caught:
        await Callers(None).admit(f"Bearer {tokens.issue('ada', 'acme', Role.SERVICE)}", "exec.v1.acme.shop.run")
    assert caught.value.code == "unauthenticated"
