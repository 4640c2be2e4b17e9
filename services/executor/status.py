"""What a worker says of itself by the NATS micro protocol (ADR-32): that it is ready, and what it has done."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

import msgspec
from nats.aio.client import Client
from nats.micro.service import EndpointInfo, EndpointStats, Service, ServiceConfig, ServiceInfo, ServiceStats

from services.executor.bus import Counters
from shared.contracts.subjects import CONTROL_PATTERN, DRAFT_PATTERN, EXEC_PATTERN, EXECAS_PATTERN, EXECUTORS_QUEUE

SERVICE_NAME: Final = "dibop-executor"
_ENDPOINTS: Final = {
    "execute": EXEC_PATTERN,
    "execute-as": EXECAS_PATTERN,
    "draft": DRAFT_PATTERN,
    "control": CONTROL_PATTERN,
}


class WorkerService(Service):
    """Answers `$SRV.PING`, `$SRV.INFO` and `$SRV.STATS` for subjects that are served without the micro framework.

    `parts` says by name how limits and circuits, and access tokens, are doing; `keys` which sealing keys the worker
    holds and needs: it stands in the metadata that `$SRV.INFO` gives.
    """

    def __init__(
        self,
        nc: Client,
        counters: Counters,
        parts: Callable[[], dict[str, dict[str, Any]]],
        keys: Callable[[], dict[str, str]],
        *,
        version: str,
        worker: str,
    ) -> None:
        metadata = {"pid": str(os.getpid()), "worker": worker or str(os.getpid())}
        super().__init__(nc, ServiceConfig(name=SERVICE_NAME, version=version, metadata=metadata))
        self._counters = counters
        self._parts = parts
        self._keys = keys

    def info(self) -> ServiceInfo:
        info = super().info()
        info.endpoints = [EndpointInfo(name, subject, EXECUTORS_QUEUE) for name, subject in _ENDPOINTS.items()]
        info.metadata = {**(info.metadata or {}), **self._keys()}
        return info

    def stats(self) -> ServiceStats:
        """The counters of all subjects together stand under `execute`."""
        stats = super().stats()
        counters = self._counters
        stats.endpoints = [
            EndpointStats(
                "execute",
                EXEC_PATTERN,
                EXECUTORS_QUEUE,
                num_requests=counters.requests,
                num_errors=counters.errors,
                processing_time=0,
                average_processing_time=0,
                data={**msgspec.structs.asdict(counters), **self._parts()},
            )
        ]
        return stats
