"""Where an answer may go: a NATS server does not check what a request says about that.

Without this, a tenant could have a service send its answer, whose content the tenant chooses, to wherever the service
itself may publish. An answer goes into the inboxes of the subject's enterprise, to a service, or wherever the server
itself routes it: `_R_.…` stands for a request from another account, goes back there, and no client can send it.
"""

from __future__ import annotations

import time
from typing import Final

import structlog

from shared.contracts.subjects import ROUTED_REPLIES, SERVICE_INBOXES

_ELSEWHERE: Final = (f"{ROUTED_REPLIES}.", f"{SERVICE_INBOXES}.")
_REPEAT_LOG_SECONDS: Final = 10.0

_log = structlog.get_logger(__name__)


def reply_allowed(subject_enterprise: str, reply: str) -> bool:
    """True where a request whose subject names this enterprise may be answered on `reply`; never without a reply."""
    return reply.startswith((*_ELSEWHERE, f"_INBOX.{subject_enterprise}."))


class DroppedRequests:
    """Counts requests that are dropped for their reply subject, and tells of them once in ten seconds."""

    def __init__(self) -> None:
        self.count = 0
        self._told = -_REPEAT_LOG_SECONDS

    def add(self, subject: str, reply: str) -> None:
        self.count += 1
        now = time.monotonic()
        if now - self._told >= _REPEAT_LOG_SECONDS:
            self._told = now
            _log.warning(
                "A request is dropped: its answer would go to an inbox that is neither its enterprise's nor a "
                "service's. Connect with the inbox prefix that the user's permissions name",
                subject=subject[:200],
                reply=reply[:200],
                dropped=self.count,
            )
