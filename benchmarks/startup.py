"""From `make up` on a fresh clone to the first executed operation, with a cold and with a warm environment.

Cold means that there is no `.venv`; what the package installer keeps in its own cache stays, as on any machine that
has installed something before. Runs only when asked for: it clones, installs and starts everything.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

from benchmarks.comparison import Plan, Progress
from benchmarks.processes import REPOSITORY, RunError, clean_environment
from benchmarks.results import Result, Row, now, this_machine
from benchmarks.stats import figure

NAME: Final = "startup"
TITLE: Final = "From the command to the first executed operation"
_CONNECTOR: Final = "openweathermap"
_OPERATION: Final = ("get_current_weather", "-p", "q=London")
_LIMIT_SECONDS: Final = 600.0
_STEP_SECONDS: Final = 0.1
_WARM_RUNS: Final = 3


def run(directory: Path, _plan: Plan, progress: Progress) -> Result:
    """Clone what is committed, then `make up` once cold and three times warm."""
    clone = directory / "clone"
    subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(clone)], check=True)
    cold = [_first_execution(clone, progress)]
    progress(f"cold: {cold[0]:.1f} s")
    warm = []
    for _ in range(_WARM_RUNS):
        shutil.rmtree(clone / ".dibop", ignore_errors=True)
        warm.append(_first_execution(clone, progress))
        progress(f"warm: {warm[-1]:.1f} s")
    return Result(
        name=NAME,
        title=TITLE,
        taken_at=now(),
        machine=this_machine(pinned=False),
        settings={"warm runs": _WARM_RUNS},
        rows=[Row("cold, no .venv", 0, {"seconds": figure(cold)}), Row("warm", 0, {"seconds": figure(warm)})],
        remarks=["A cold start downloads packages unless the installer's cache has them: its time is the network's."],
    )


def _first_execution(clone: Path, progress: Progress) -> float:
    """Seconds from `make up` until `dibop exec` has answered with a result."""
    log = clone.with_suffix(".log")
    environment = clean_environment()
    environment.pop("VIRTUAL_ENV", None)  # the one that is active here must not serve there
    started = time.monotonic()
    with log.open("wb") as sink:
        up = subprocess.Popen(
            ["make", "up"],
            cwd=clone,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
    try:
        while not _executes(clone, environment):
            if up.poll() is not None:
                raise RunError(f"make up ended with exit code {up.returncode}:\n{log.read_text()[-3000:]}")
            if time.monotonic() - started > _LIMIT_SECONDS:
                raise RunError(f"no operation was executed in {_LIMIT_SECONDS:g} s:\n{log.read_text()[-3000:]}")
            time.sleep(_STEP_SECONDS)
        return time.monotonic() - started
    finally:
        _stop(up, progress)


def _executes(clone: Path, environment: dict[str, str]) -> bool:
    """One try, only once there is a stack to ask."""
    home = clone / ".dibop"
    if not (home / "context.json").exists():
        return False
    argv = [str(clone / ".venv/bin/dibop"), "exec", _CONNECTOR, *_OPERATION, "--home", str(home), "--json"]
    answer = subprocess.run(argv, cwd=clone, env=environment, capture_output=True, check=False)
    return answer.returncode == 0


def _stop(up: subprocess.Popen[bytes], progress: Progress) -> None:
    """Ctrl-C, as a person ends it; its whole process group where that is not enough."""
    if up.poll() is None:
        os.killpg(up.pid, signal.SIGINT)
    try:
        up.wait(60)
    except subprocess.TimeoutExpired:
        progress("make up did not end within 60 s of Ctrl-C and is killed")
        os.killpg(up.pid, signal.SIGKILL)
        up.wait()
