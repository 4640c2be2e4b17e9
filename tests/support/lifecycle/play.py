"""Plays many histories on one world."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.lifecycle.lives import Lives
from tests.support.lifecycle.resting import nothing_drifts
from tests.support.lifecycle.world import World, world
from tests.support.servers import nats_server
from tests.support.tokens import Tokens


def play(tokens: Tokens, directory: Path, *, histories: int, steps: int, reviews_platform: bool) -> World:
    """AssertionError, with the commands of the history, where something is otherwise than the model foretells.

    The world tells how often which command was tried.
    """
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(nats_server(directory / "nats"))
        runner = stack.enter_context(asyncio.Runner())
        lasting = world(url, tokens, directory, reviews_platform=reviews_platform)
        there = runner.run(lasting.__aenter__())

        class LivesHere(Lives):
            def __init__(self) -> None:
                super().__init__(runner, there)

        try:
            run_state_machine_as_test(  # type: ignore[no-untyped-call]
                LivesHere,
                settings=settings(
                    max_examples=histories,
                    stateful_step_count=steps,
                    backend="hypothesis-urandom",  # its own varies few histories, and begins with the simplest
                    deadline=None,
                    database=None,
                    phases=[Phase.generate],
                    suppress_health_check=list(HealthCheck),
                ),
            )
            runner.run(nothing_drifts(there))
            return there
        finally:
            runner.run(lasting.__aexit__(None, None, None))
