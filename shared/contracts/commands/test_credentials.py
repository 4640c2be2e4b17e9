"""Test credentials that the registry keeps for a person: sealed, for hours, for tests of drafts alone."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from shared.contracts.commands.base import Message, Slug
from shared.contracts.commands.connections import GivenCredentials, Uuid

MAX_TEST_CREDENTIALS_SECONDS: Final = 8 * 3600


class SaveTestCredentials(GivenCredentials):
    """`test-credentials.save`: keep them for the caller, in place of earlier ones for this connector and origin.

    They are sealed for the use `test` and the draft's owner, with `id` as the test session.
    """

    lifetime_seconds: Annotated[int, Field(ge=1, le=MAX_TEST_CREDENTIALS_SECONDS)] = MAX_TEST_CREDENTIALS_SECONDS


class KeptTestCredentials(Message):
    """Test credentials as their owner sees them: sensitive fields only as masked tails."""

    id: str
    connector: str
    origin: str
    fields: dict[str, str]
    saved_at: str
    expires_at: str


class ListTestCredentials(Message):
    """`test-credentials.list`: the caller's own, newest first."""

    connector: Slug | None = None


class TestCredentialsList(Message):
    credentials: list[KeptTestCredentials]


class DeleteTestCredentials(Message):
    """`test-credentials.delete`."""

    id: Uuid


class TestCredentialsDeleted(Message):
    id: str


class FetchTestCredentials(Message):
    """`test-credentials.fetch`, by the publisher, for the test that `person` runs: what an executor opens."""

    id: Uuid
    person: str = Field(min_length=1, max_length=200)
    connector: Slug
