"""Coverage-guided fuzzing of one target with atheris: `python -m tests.fuzz.hunt "template text" 60`.

atheris is no part of the locks: it has wheels for some platforms and versions of Python alone. Where it is not
installed, this says how to get it, and ends well: the targets run under Hypothesis everywhere.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any, Final

from hypothesis import HealthCheck, given, settings

from tests.fuzz.driver import Target, watched

_USAGE: Final = 'usage: python -m tests.fuzz.hunt "TARGET" SECONDS; targets: '


def main(arguments: Sequence[str]) -> int:
    try:
        atheris: Any = importlib.import_module("atheris")
    except ImportError:
        print("atheris is not installed here: `.venv/bin/python -m pip install atheris` (Linux, CPython 3.11 to 3.13).")
        return 0
    with atheris.instrument_imports(include=["services", "shared"]):
        from tests.fuzz.targets import TARGETS
    known = {target.name: target for target in TARGETS}
    if len(arguments) != 2 or arguments[0] not in known or not arguments[1].isdecimal():
        print(_USAGE + ", ".join(known), file=sys.stderr)
        return 2
    atheris.Setup(["hunt", f"-max_total_time={arguments[1]}", "-max_len=65536"], _entrance(known[arguments[0]]))
    atheris.Fuzz()
    return 0


def _entrance(target: Target) -> Any:
    """The target as a function of bytes: Hypothesis makes its input out of what atheris chooses."""

    @settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(target.inputs)
    def attempt(value: Any) -> None:
        with watched():
            target.check(value)

    return attempt.hypothesis.fuzz_one_input  # type: ignore[attr-defined]  # Hypothesis puts it there


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
