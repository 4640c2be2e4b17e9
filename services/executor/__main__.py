"""`python -m services.executor`: one worker, until SIGTERM or SIGINT."""

from __future__ import annotations

import gc
import sys
from typing import Final

import uvloop
from pydantic import ValidationError

from services.executor.app import Executor
from services.executor.settings import ExecutorSettings
from shared.messaging.service import BusClosedError, run_until_signalled
from shared.telemetry.crashes import guard_crashes
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
        configure(settings, "executor")
        guard_crashes()
        uvloop.run(run_until_signalled(Executor(settings, on_loaded=settle_memory)))
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            name = "_".join(["DIBOP", *(str(part).upper() for part in problem["loc"])])
            sys.stderr.write(f"executor: {name}: {problem['msg']}\n")
        return 1
    except (ValueError, BusClosedError) as error:
        sys.stderr.write(f"executor: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
