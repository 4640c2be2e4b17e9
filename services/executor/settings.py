"""Settings of an executor."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from services.executor.transport.egress import EgressPolicy
from shared.contracts.execution import MAX_RESPONSE_BYTES
from shared.settings import ServiceSettings


class ExecutorSettings(ServiceSettings):
    """One worker process."""

    worker: str = Field(
        "", max_length=64, description="This worker's name in status and logs; its process id if empty."
    )
    seal_keyring_file: Path | None = Field(
        None, description="The executors' private sealing keys. Without them no credential can be opened."
    )
    egress_allow: str = Field(
        "", description="Comma-separated host:port that may be internal addresses; empty: public addresses only."
    )
    upstream_ca_file: Path | None = Field(
        None, description="PEM certificates that external systems' are checked against, besides the system's own."
    )
    max_in_flight: int = Field(256, ge=1, le=10_000, description="Requests that a worker works on at once.")
    queue_size: int = Field(
        1000, ge=0, le=100_000, description="Requests that wait behind those; more are refused as overloaded."
    )
    max_response_bytes: int = Field(
        MAX_RESPONSE_BYTES, ge=1024, le=256 * 1024 * 1024, description="Cap on a decoded response body, in bytes."
    )
    plan_cache_size: int = Field(10_000, ge=1, description="Compiled templates that a worker keeps.")

    @field_validator("egress_allow")
    @classmethod
    def _can_be_read(cls, value: str) -> str:
        EgressPolicy.parse(value)
        return value
