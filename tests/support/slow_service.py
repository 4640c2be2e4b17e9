"""A registry whose only command takes its time: `python -m tests.support.slow_service`.

Settings come from the environment, as any service's do.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from pydantic import BaseModel

from shared.messaging.service import CommandContext, CommandService, run_until_signalled
from shared.security.principals import TokenVerifier
from shared.settings import ServiceSettings
from shared.telemetry.logging import configure


class Work(BaseModel):
    number: int
    seconds: float = 0.05


class Worked(BaseModel):
    number: int


def build() -> CommandService:
    settings = ServiceSettings()
    configure(settings, "registry")
    verifier = TokenVerifier.load(settings.token_key_file or Path())
    service = CommandService("registry", settings, verifier, "0.0.1")

    @service.command("work", "do", Work, concurrency=16)
    async def do(_context: CommandContext, command: Work) -> Worked:
        await asyncio.sleep(command.seconds)
        return Worked(number=command.number)

    return service


async def main() -> None:
    await run_until_signalled(build())


if __name__ == "__main__":
    asyncio.run(main())
