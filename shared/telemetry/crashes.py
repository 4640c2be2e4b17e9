"""What a process says when it dies of a bug: the traceback goes through the log, and no memory goes to disk."""

from __future__ import annotations

import resource
import sys
import threading
from types import TracebackType

import structlog

_log = structlog.get_logger(__name__)


def guard_crashes() -> None:
    """Log what nobody caught, without secrets, and write no core dumps: they hold all that the process knew."""
    sys.excepthook = _uncaught
    sys.unraisablehook = _unraisable
    threading.excepthook = _in_thread
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def _uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    _log.critical("The process ends because of a bug", exc_info=(kind, error, traceback))


def _unraisable(lost: sys.UnraisableHookArgs) -> None:
    _log.error(
        "An error could not be raised",
        where=lost.err_msg or "",
        what=type(lost.object).__name__,
        exc_info=(lost.exc_type, lost.exc_value, lost.exc_traceback),
    )


def _in_thread(lost: threading.ExceptHookArgs) -> None:
    if lost.exc_value is not None:
        _log.error("A thread ended because of a bug", exc_info=(lost.exc_type, lost.exc_value, lost.exc_traceback))
