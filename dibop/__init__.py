"""Execute connector operations over NATS: `from dibop import Client`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dibop.client import Client, EventStream
    from dibop.context import Context
    from dibop.errors import DibopError
    from dibop.execution import Execution
    from shared.contracts.events import Event

__all__ = ["Client", "Context", "DibopError", "Event", "EventStream", "Execution", "__version__"]

_HOMES = {
    "Client": "dibop.client",
    "EventStream": "dibop.client",
    "Context": "dibop.context",
    "DibopError": "dibop.errors",
    "Execution": "dibop.execution",
    "Event": "shared.contracts.events",
}


def __getattr__(name: str) -> Any:
    """Import each part when it is first asked for, so that the command line starts quickly."""
    if name == "__version__":
        from importlib.metadata import version

        return version("dibop-connectors")
    if name not in _HOMES:
        raise AttributeError(f"module 'dibop' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
