"""`python -m services.executor`: one worker, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import sys

import uvloop
from pydantic import ValidationError

from services.executor.app import Executor
from services.executor.settings import ExecutorSettings
from shared.messaging.service import run_until_signalled
from shared.telemetry.logging import configure


def main() -> int:
    try:
        settings = ExecutorSettings()
        executor = Executor(settings)
    except (ValidationError, ValueError) as error:
        sys.stderr.write(f"The executor cannot start: {error}\n")
        return 1
    configure(settings, "executor")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_until_signalled(executor))
    return 0


if __name__ == "__main__":
    sys.exit(main())
