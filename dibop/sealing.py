"""Credentials on the way in: sealed before they leave this process, to the key that the context names."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from dibop.errors import DibopError, LocalStackError, typed
from shared.security import credentials
from shared.security.sealing import SealingKey

P = ParamSpec("P")
T = TypeVar("T")


def load_sealing_key(path: Path | None) -> SealingKey:
    """The executors' public key; its place is configuration, never asked from a service."""
    if path is None:
        raise LocalStackError(
            "The context names no seal_key_file, so that credentials cannot be sealed. "
            "Ask the operator for the executors' public sealing key."
        )
    try:
        return SealingKey.load(path)
    except ValueError as error:
        raise LocalStackError(f"{error}. Ask the operator for the executors' public sealing key.") from error


def _in_own_errors(function: Callable[P, T]) -> Callable[P, T]:
    """The same, raising the classes of `dibop.errors`."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except DibopError as error:
            raise typed(error) from None

    return wrapped


complete = _in_own_errors(credentials.complete)
connection_command = _in_own_errors(credentials.connection_command)
rotation_command = _in_own_errors(credentials.rotation_command)
kept_for_tests = _in_own_errors(credentials.kept_for_tests)
sealed_for_test = _in_own_errors(credentials.sealed_for_test)
