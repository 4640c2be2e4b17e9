"""What tests start ends with the process that runs them, however that ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.polling import wait_until

REPOSITORY = Path(__file__).parents[2]
TESTS = """
import sys
from pathlib import Path
from tests.support.processes import ManagedProcess

log = Path(sys.argv[1])
sleeper = ManagedProcess([sys.executable, "-c", "import signal; signal.pause()"], log=log, ready=lambda: True)
sleeper.start()
print(sleeper.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("killed", [False, True], ids=["without taking it down", "killed"])
def test_a_server_goes_where_the_tests_that_started_it_end(tmp_path: Path, *, killed: bool) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", TESTS, str(tmp_path / "log")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
    ) as tests:
        assert tests.stdout is not None
        server = psutil.Process(int(tests.stdout.readline()))
        assert server.is_running()
        if killed:
            tests.kill()

    wait_until(lambda: not server.is_running(), what="the server is gone")
