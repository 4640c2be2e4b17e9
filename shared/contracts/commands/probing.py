"""Probes: whether an external system can be reached, and takes the credentials, step by step.

Executors carry them out. Commands go to `executor.v1.<enterprise>.<noun>.<verb>`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shared.contracts.commands.base import Digest, Message, Slug, Token
from shared.contracts.commands.testing import TestCredentials
from shared.contracts.projections import PingOutcome

ProbeStepName = Literal["dns", "tcp", "tls", "http", "auth"]


class ProbeDraft(Message):
    """`draft.probe`, by the publisher alone: probe what the document under `digest` describes.

    The subject's enterprise is the draft's `owner`; `credentials` are sealed for a test session of it.
    """

    owner: Token
    slug: Slug
    digest: Digest
    credentials: TestCredentials | None = None


class PingConnection(Message):
    """`connection.ping`: probe a connection with its own credentials. What comes of it is written into its health.

    Without `connection` it is the default one, or the calls without a connection where there is none.
    """

    connector: Slug
    connection: Token | None = None


class ProbeStep(Message):
    """One step. `reason` says what happened, why, and what to do; it is None for a step that needs no word."""

    step: ProbeStepName
    outcome: Literal["pass", "fail", "skip"]
    reason: str | None = None
    duration_ms: float | None = None


class Probed(Message):
    """What a probe has found. The steps are all of them, in their order; after one that failed, those that follow from
    it are skipped."""

    outcome: PingOutcome
    steps: list[ProbeStep] = Field(min_length=5, max_length=5)
    duration_ms: float
