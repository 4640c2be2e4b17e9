"""An executor that dies where it would call a method, as if it had been killed just then.

`python -m tests.support.dying_worker module:Class.method`
"""

from __future__ import annotations

import importlib
import os
import signal
import sys

from services.executor.__main__ import main


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    module, _, name = sys.argv[1].partition(":")
    owner, _, method = name.partition(".")
    setattr(getattr(importlib.import_module(module), owner), method, die)
    sys.exit(main())
