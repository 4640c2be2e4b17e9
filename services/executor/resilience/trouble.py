"""What is wrong with Redis, in a sentence that says what to do."""

from __future__ import annotations

from typing import Final

from services.executor.resilience.types import StateUnavailableError

_GRANTS: Final = (
    "~res:* ~oauth:* +ping +eval +evalsha +time +@hash +@list +get +set +incr +del +exists +pexpire +pttl "
    "+cluster|slots"
)
_SENTENCES: Final = (
    (("READONLY",), "Redis is a read-only replica. Point DIBOP_REDIS_URL at the primary."),
    (
        ("OOM",),
        "Redis is out of memory and takes no writes. Raise its maxmemory; a connection in use needs about 1 KB.",
    ),
    (
        ("NOPERM", "can't run this command", "can't access", "no permissions"),
        f"The Redis user may not run scripts on the keys of limits and circuits. Grant it {_GRANTS}.",
    ),
    (
        (
            "WRONGPASS",
            "NOAUTH",
            "invalid username-password",
            "invalid password",
            "HELLO must be called",
            "Authentication required",
        ),
        "Redis refuses the user name or password. Correct the ones in DIBOP_REDIS_URL.",
    ),
    (("MISCONF",), "Redis takes no writes because it cannot save to disk. Free its disk, or turn saving off."),
    (("CLUSTERDOWN", "TRYAGAIN"), "The Redis cluster has no node for some of its slots at present. See CLUSTER INFO."),
    (("LOADING",), "Redis is still loading its data. Wait until it has."),
    (("unknown command",), "Redis does not know a command that is needed. Use Redis 6.2 or newer."),
)


def unavailable(problem: str) -> StateUnavailableError:
    """The error to raise where Redis answered `problem`, or did not answer because of it."""
    for marks, sentence in _SENTENCES:
        if any(mark.casefold() in problem.casefold() for mark in marks):
            return StateUnavailableError(sentence)
    return StateUnavailableError(f"Redis did not do what was asked: {problem.rstrip('.')}. See whether it runs.")
