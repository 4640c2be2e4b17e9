"""`python -m services.executor`: one worker, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Final

import uvloop
from pydantic import ValidationError

from services.executor.app import Executor
from services.executor.settings import ExecutorSettings
from shared.messaging.service import run_until_signalled
from shared.telemetry.logging import configure

_GC_THRESHOLDS: Final = (50_000, 20, 100)


def settle_memory() -> None:
    """What is here now stays: the collector need not look at it again, and looks at the rest less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


def main() -> int:
    try:
        settings = ExecutorSettings()
        executor = Executor(settings, on_loaded=settle_memory)
    except (ValidationError, ValueError) as error:
        sys.stderr.write(f"The executor cannot start: {error}\n")
        return 1
    configure(settings, "executor")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_until_signalled(executor))
    return 0


if __name__ == "__main__":
    sys.exit(main())
