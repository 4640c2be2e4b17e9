"""Fixtures that every test may use."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import structlog

from shared.security.principals import Role, TokenIssuer, TokenVerifier
from shared.security.redaction import keep_out
from tests.support.tokens import Tokens

# What Python compiled is kept: without, each process that a test starts takes twice as long to begin.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(scope="session")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Tokens:
    """An issuer of tokens and the key file that services verify them with."""
    return Tokens(TokenIssuer.generate(), tmp_path_factory.mktemp("tokens") / "token-keys.json")


@pytest.fixture(scope="session")
def verifier(tokens: Tokens) -> TokenVerifier:
    return TokenVerifier.load(tokens.key_file)


@pytest.fixture
def admin_token(tokens: Tokens) -> str:
    """A token of a Platform Admin."""
    return tokens.issue("ada", "platform", Role.PLATFORM_ADMIN)


@pytest.fixture(autouse=True)
def _clean_log_context() -> Iterator[None]:
    structlog.contextvars.clear_contextvars()
    keep_out(())
    yield
    structlog.contextvars.clear_contextvars()
