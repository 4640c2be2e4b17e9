"""`python -m services.publisher` serves; `python -m services.publisher migrate` prepares the database."""

from __future__ import annotations

import sys

import uvloop
from pydantic import ValidationError

from services.publisher import app
from services.publisher.settings import PublisherSettings
from shared.messaging.service import BusClosedError
from shared.persistence.migrate import NotMigratedError
from shared.settings import DatabaseSettings
from shared.telemetry.logging import configure

_USAGE = "usage: python -m services.publisher [migrate]"


def main(arguments: list[str]) -> int:
    """0 done, 1 failed, 2 wrong usage or settings."""
    if arguments not in ([], ["migrate"]):
        return _say(_USAGE, 2)
    try:
        if arguments:
            before = uvloop.run(app.migrate(DatabaseSettings().database_url))
            return _say(f"publisher: {before.current or 'an empty database'} -> {before.head}", 0)
        settings = PublisherSettings()
    except ValidationError as error:
        return _say(_settings_problems(error), 2)
    configure(settings, "publisher")
    try:
        uvloop.run(app.run(settings))
    except (NotMigratedError, BusClosedError, ValueError) as error:
        return _say(f"The publisher cannot serve: {error}", 1)
    return 0


def _settings_problems(error: ValidationError) -> str:
    problems = [f"DIBOP_{str(one['loc'][0]).upper()}: {one['msg']}" for one in error.errors()]
    return "The settings are not complete. " + "; ".join(problems)


def _say(text: str, code: int) -> int:
    print(text, file=sys.stderr)  # noqa: T201  # a command line's own words
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
