"""`python -m services.registry` serves.

`… migrate` migrates the database; `… rebuild` has what executors read be as the database says.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import uvloop
from pydantic import ValidationError

from services.registry import app
from services.registry.settings import RegistrySettings
from shared.contracts.errors import DibopError
from shared.messaging.connection import BusUnreachableError
from shared.messaging.service import BusClosedError
from shared.persistence.migrate import NotMigratedError, migrate
from shared.settings import DatabaseSettings
from shared.telemetry.crashes import guard_crashes
from shared.telemetry.logging import configure

_USAGE = "usage: python -m services.registry [migrate | rebuild]"


def main(arguments: Sequence[str]) -> int:
    try:
        match list(arguments):
            case []:
                settings = RegistrySettings()
                configure(settings, "registry")
                guard_crashes()
                uvloop.run(app.run(settings))
            case ["migrate"]:
                address = DatabaseSettings().database_url
                before = uvloop.run(migrate(address, app.MIGRATIONS))
                sys.stderr.write(f"registry: revision {before.current or 'none'} to {before.head}\n")
            case ["rebuild"]:
                settings = RegistrySettings()
                configure(settings, "registry")
                guard_crashes()
                count = uvloop.run(app.rebuild(settings))
                sys.stderr.write(f"registry: {count} entries brought to what the database says\n")
            case _:
                sys.stderr.write(f"{_USAGE}\n")
                return 2
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            name = "_".join(["DIBOP", *(str(part).upper() for part in problem["loc"])])
            sys.stderr.write(f"registry: {name}: {problem['msg']}\n")
        return 1
    except (ValueError, NotMigratedError, BusClosedError, BusUnreachableError, DibopError) as error:
        sys.stderr.write(f"registry: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
