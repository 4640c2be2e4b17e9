"""Logs: one JSON object a line on standard error, or text for a person. Secrets never reach them."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

import structlog

from shared.settings import ServiceSettings

REDACTED: Final = "[redacted]"
_SECRET: Final = re.compile(
    r"authorization|passw(or)?d|secret|token|api[_-]?key|credential|sealed|private[_-]?key|cookie|bearer",
    re.IGNORECASE,
)
_HARMLESS: Final = re.compile(r"(_file|_files|_path|_count|_seconds)$", re.IGNORECASE)
_tracebacks: Final = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)  # local variables hold secrets
)
_QUIET: Final = ("nats", "faststream", "aiosqlite", "alembic", "asyncio")


def configure(settings: ServiceSettings, service: str) -> None:
    """Set logging up for a process: `service` stands in every line, bound context variables too."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        _named(service),
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        redact,
    ]
    last: list[structlog.types.Processor] = (
        [_tracebacks, structlog.processors.JSONRenderer(default=str)]
        if settings.log_format == "json"
        else [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(settings.log_level)),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    for library in _QUIET:
        logging.getLogger(library).setLevel(logging.WARNING)


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the values of fields whose names speak of secrets, at any depth."""
    return {key: _redacted(key, value) for key, value in event.items()}


def _redacted(name: str, value: Any) -> Any:
    if _SECRET.search(name) and not _HARMLESS.search(name):
        return REDACTED
    if isinstance(value, Mapping):
        return {key: _redacted(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted("", inner) for inner in value]
    return value


def _named(service: str) -> structlog.types.Processor:
    def add(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault("service", service)
        return event

    return add
