"""The publisher's settings, from `DIBOP_…` environment variables."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from services.publisher.handlers.saga import Point
from shared.settings import DatabaseSettings, ServiceSettings


class PublisherSettings(ServiceSettings, DatabaseSettings):
    """What the publisher needs; the file of its own token is not optional for it."""

    nats_inbox_prefix: str = Field(
        "_INBOX.svc.publisher", description="Prefix of this user's private inboxes, which its NATS permissions name."
    )
    service_token_file: Path = Field(
        ..., description="The publisher's own token, of role `publisher`, with which it commands the registry."
    )
    migrate_at_start: bool = Field(
        True,
        description="Migrate the database before serving; false where 'dibop migrate' is a step of its own.",
    )
    registry_timeout_seconds: float = Field(
        10.0, gt=0, le=300, description="How long the publisher waits for one answer of the registry, in seconds."
    )
    publish_wait_seconds: float = Field(
        15.0,
        gt=0,
        le=300,
        description="How long a command waits for the move it began, in seconds; after that it goes on by itself.",
    )
    review_platform_drafts: bool = Field(
        False,
        description="Whether the platform's own drafts, too, are reviewed by another Platform Admin before publishing.",
    )
    test_seconds: float = Field(300.0, gt=0, le=3600, description="How long one test run may take in all, in seconds.")
    fault_point: Point | None = Field(
        None, description="For crash tests alone: the process kills itself when a move reaches this point."
    )
