"""Logs: one JSON object a line on standard error, or text for a person. Secrets never reach them."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

from shared.security.redaction import redacted
from shared.settings import ServiceSettings

_tracebacks: Final = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)  # local variables hold secrets
)
_plain_tracebacks: Final = structlog.processors.format_exc_info
_QUIET: Final = ("nats", "faststream", "aiosqlite", "alembic", "asyncio")


def configure(settings: ServiceSettings, service: str) -> None:
    """Set logging up for a process: `service` stands in every line, bound context variables too."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        _named(service),
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    last: list[structlog.types.Processor] = (
        [_tracebacks, redact, structlog.processors.JSONRenderer(default=str)]
        if settings.log_format == "json"
        else [_plain_tracebacks, redact, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
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
    logging.raiseExceptions = False  # the report on a line that cannot be written would show it unredacted
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    for library in _QUIET:
        logging.getLogger(library).setLevel(logging.WARNING)


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take secrets out of a line: by the names of its fields, by value, and by shape; tracebacks included."""
    shown: dict[str, Any] = redacted(event)
    return shown


def _named(service: str) -> structlog.types.Processor:
    def add(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault("service", service)
        return event

    return add
