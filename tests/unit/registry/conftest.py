"""The registry's handlers over memory, and the people who command them."""

from __future__ import annotations

import pytest

from services.registry.handlers.ports import Caller
from shared.security.principals import Principal, Role
from tests.unit.registry.fakes import MemoryProjections, MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def projections() -> MemoryProjections:
    return MemoryProjections()


def caller(subject: str, home: str, role: Role, enterprise: str | None = None) -> Caller:
    return Caller(Principal(subject, home, frozenset({role})), enterprise or home, "r-1")


@pytest.fixture
def author() -> Caller:
    """Writes the drafts of acme."""
    return caller("ada", "acme", Role.ENTERPRISE_ADMIN_SDK)


@pytest.fixture
def viewer() -> Caller:
    """Reads what acme has published."""
    return caller("vic", "acme", Role.VIEWER)


@pytest.fixture
def stranger() -> Caller:
    """An author of another enterprise who asks for acme's."""
    return caller("eve", "other", Role.ENTERPRISE_ADMIN_SDK, "acme")


@pytest.fixture
def platform() -> Caller:
    """Writes the catalogue's drafts."""
    return caller("pat", "platform", Role.PLATFORM_ADMIN)


@pytest.fixture
def publisher() -> Caller:
    """The publisher, at work for acme."""
    return caller("publisher", "platform", Role.PUBLISHER, "acme")


@pytest.fixture
def catalogue_publisher() -> Caller:
    """The publisher, at work for the catalogue."""
    return caller("publisher", "platform", Role.PUBLISHER)
