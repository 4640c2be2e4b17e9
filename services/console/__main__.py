"""`python -m services.console`: serves HTTP until SIGTERM or SIGINT."""

from __future__ import annotations

import sys

import uvloop
from pydantic import ValidationError

from services.console.app import Console
from services.console.settings import ConsoleSettings
from shared.messaging.service import BusClosedError, run_until_signalled
from shared.telemetry.crashes import guard_crashes
from shared.telemetry.logging import configure


def main() -> int:
    """0 done, 1 failed, 2 wrong settings."""
    try:
        settings = ConsoleSettings()
        configure(settings, "console")
        guard_crashes()
        uvloop.run(run_until_signalled(Console(settings)))
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            name = "_".join(["DIBOP", *(str(part).upper() for part in problem["loc"])])
            sys.stderr.write(f"console: {name}: {problem['msg']}\n")
        return 2
    except (ValueError, OSError, BusClosedError) as error:
        sys.stderr.write(f"console: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
