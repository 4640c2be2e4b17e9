"""`python -m services.publisher` serves; `python -m services.publisher migrate` prepares the database."""

from __future__ import annotations

import sys

import uvloop
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

from services.publisher import app
from services.publisher.settings import PublisherSettings
from shared.messaging.service import BusClosedError
from shared.persistence.migrate import NotMigratedError, migrate
from shared.settings import DatabaseSettings
from shared.telemetry.crashes import guard_crashes
from shared.telemetry.logging import configure

_USAGE = "usage: python -m services.publisher [migrate]"


def main(arguments: list[str]) -> int:
    """0 done, 1 failed, 2 wrong usage or settings."""
    try:
        match arguments:
            case []:
                settings = PublisherSettings()
                configure(settings, "publisher")
                guard_crashes()
                uvloop.run(app.run(settings))
            case ["migrate"]:
                before = uvloop.run(migrate(DatabaseSettings().database_url, app.MIGRATIONS))
                _say(f"publisher: revision {before.current or 'none'} to {before.head}")
            case _:
                _say(_USAGE)
                return 2
    except ValidationError as error:
        _say(_settings_problems(error))
        return 2
    except (BusClosedError, NotMigratedError, ValueError) as error:
        _say(f"publisher: {error}")
        return 1
    except (DBAPIError, OSError) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        _say(f"publisher: the database cannot be used: {reason}. Start it, or correct DIBOP_DATABASE_URL.")
        return 1
    return 0


def _settings_problems(error: ValidationError) -> str:
    problems = [f"DIBOP_{str(one['loc'][0]).upper()}: {one['msg']}" for one in error.errors()]
    return "The settings are not complete. " + "; ".join(problems)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
