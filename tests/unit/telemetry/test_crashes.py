"""What is said when a process dies of a bug."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Final

import pytest

SECRET: Final = "hunter2-and-more"
PRELUDE: Final = f"""
import asyncio, resource, threading
from shared.security.redaction import keep_out
from shared.settings import ServiceSettings
from shared.telemetry.crashes import guard_crashes
from shared.telemetry.logging import configure
configure(ServiceSettings(log_format=FORMAT), "test")
guard_crashes()
keep_out(({SECRET!r},))
def fail():
    token = {SECRET!r}
    raise RuntimeError("refused " + token + " of postgresql://me:pw-of-db@host/x")
"""
IN_A_TASK: Final = """
async def main():
    loop = asyncio.get_running_loop()
    loop.call_soon(fail)
    await asyncio.sleep(0)
asyncio.run(main())
"""
IN_A_DESTRUCTOR: Final = """
class Lost:
    def __del__(self):
        fail()
Lost()
"""

IN_A_THREAD: Final = f"""
thread = threading.Thread(target=lambda: (keep_out(({SECRET!r},)), fail()))
thread.start()
thread.join()
"""


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize(
    "crash",
    [
        "fail()",
        IN_A_TASK,
        IN_A_DESTRUCTOR,
        IN_A_THREAD,
    ],
    ids=["main", "callback", "destructor", "thread"],
)
def test_a_crash_is_logged_without_secrets(crash: str, log_format: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE.replace("FORMAT", repr(log_format)) + crash],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    said = done.stdout + done.stderr
    assert "RuntimeError" in said
    assert "refused [redacted] of postgresql://me:[redacted]@host/x" in said
    assert "pw-of-db" not in said
    assert '"refused " + token' in said or SECRET not in said
    if log_format == "json":
        assert all(isinstance(json.loads(line), dict) for line in done.stderr.splitlines())


def test_no_core_is_written() -> None:
    code = PRELUDE.replace("FORMAT", "'json'") + "print(resource.getrlimit(resource.RLIMIT_CORE)[0])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.strip() == "0"
