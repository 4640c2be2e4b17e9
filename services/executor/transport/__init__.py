"""The executor's way out: one request to one external system, sent at most once."""

from services.executor.transport.interface import (
    BeforeSend,
    HttpRequest,
    HttpResponse,
    Phase,
    Transport,
    TransportError,
    TransportTimeout,
)

__all__ = [
    "BeforeSend",
    "HttpRequest",
    "HttpResponse",
    "Phase",
    "Transport",
    "TransportError",
    "TransportTimeout",
]
