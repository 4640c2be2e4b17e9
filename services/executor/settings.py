"""Settings of an executor."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from pydantic import Field, field_validator

from services.executor.resilience.on_loss import OnLoss
from services.executor.resilience.scopes import read_rates
from services.executor.resilience.scripts import WINDOW_MS
from services.executor.transport.egress import EgressPolicy
from services.executor.transport.proxy import Proxy, read_credentials
from services.executor.transport.tls import check_authorities
from shared.contracts.execution import MAX_RESPONSE_BYTES
from shared.settings import ServiceSettings


class ExecutorSettings(ServiceSettings):
    """One worker process."""

    nats_inbox_prefix: str = Field(
        "_INBOX.svc.executor", description="Prefix of this user's private inboxes, which its NATS permissions name."
    )
    call_log: bool = Field(
        True, description="Tell the registry of every execution, for the call log: metadata alone, in batches."
    )
    worker: str = Field(
        "", max_length=64, description="This worker's name in status and logs; its process id if empty."
    )
    seal_keyring_file: Path | None = Field(
        None, description="The executors' private sealing keys. Without them no credential can be opened."
    )
    egress_allow: str = Field(
        "", description="Comma-separated host:port that may be internal addresses; empty: public addresses only."
    )
    egress_ca_file: Path | None = Field(
        None, description="PEM certificates of authorities that vouch for external systems, besides the system's own."
    )
    egress_proxy: str = Field(
        "", description="HTTP proxy for all but what the allow-list names, as http://proxy.example:3128; empty: none."
    )
    egress_proxy_credentials_file: Path | None = Field(
        None, description="File with user:password for that proxy; none where it asks for none."
    )
    egress_proxy_resolves: bool = Field(
        False,
        description="Give the proxy names, not checked addresses; then it must refuse internal ones itself.",
    )
    max_in_flight: int = Field(256, ge=1, le=10_000, description="Requests that a worker works on at once.")
    queue_size: int = Field(
        1000, ge=0, le=100_000, description="Requests that wait behind those; more are refused as overloaded."
    )
    max_response_bytes: int = Field(
        MAX_RESPONSE_BYTES, ge=1024, le=256 * 1024 * 1024, description="Cap on a decoded response body, in bytes."
    )
    hide_echoed_credentials: bool = Field(
        False,
        description="Take a connection's own credentials out of response bodies that hold them, in every form that "
        "servers write; what else in a body reads like one is lost too. Headers are cleaned of them always.",
    )
    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        description="Address of the Redis that holds the limits and circuits which all workers share.",
    )
    on_state_loss: str = Field(
        "local",
        description="What a worker does while Redis is away: local (its share of every limit), open (send without "
        "limits) or closed (send nothing); with <owner>.<connector>=… for single connectors, comma-separated.",
    )
    max_in_flight_per_connection: int = Field(
        32, ge=1, le=10_000, description="Attempts that a worker has in flight at once for one connection."
    )
    enterprise_rates: str = Field(
        "",
        description="Attempts a minute that each enterprise may make on a connector, on top of the templates' limits: "
        "<owner>.<connector>=<number> or *=<number>, comma-separated.",
    )
    platform_rates: str = Field(
        "", description="The same for all enterprises together: <owner>.<connector>=<number> or *=<number>."
    )
    rate_window_ms: int = Field(
        WINDOW_MS,
        ge=1_000,
        le=WINDOW_MS,
        description="Window of rate limits, in milliseconds: a minute and a guard. A shorter one breaks the limits' "
        "promise and is for tests; all workers need the same.",
    )
    plan_cache_size: int = Field(10_000, ge=1, description="Compiled templates that a worker keeps.")

    @field_validator("enterprise_rates", "platform_rates")
    @classmethod
    def _are_rates(cls, value: str) -> str:
        read_rates(value)
        return value

    @field_validator("on_state_loss")
    @classmethod
    def _is_known(cls, value: str) -> str:
        OnLoss.parse(value)
        return value

    @field_validator("egress_allow")
    @classmethod
    def _can_be_read(cls, value: str) -> str:
        EgressPolicy.parse(value)
        return value

    @field_validator("egress_ca_file")
    @classmethod
    def _holds_authorities(cls, value: Path | None) -> Path | None:
        if value is not None:
            check_authorities(value)
        return value

    @field_validator("egress_proxy")
    @classmethod
    def _is_a_proxy(cls, value: str) -> str:
        Proxy.parse(value)
        return value

    @field_validator("egress_proxy_credentials_file")
    @classmethod
    def _holds_credentials(cls, value: Path | None) -> Path | None:
        if value is not None:
            read_credentials(value)
        return value

    @property
    def worker_name(self) -> str:
        """What this worker is called in logs that people read; no other has the same."""
        return self.worker or f"{platform.node()}-{os.getpid()}"

    def proxy(self) -> Proxy | None:
        """The proxy that requests go out through; None where there is none."""
        return Proxy.parse(self.egress_proxy, self.egress_proxy_credentials_file, resolves=self.egress_proxy_resolves)
