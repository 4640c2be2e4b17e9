"""`dibop up` and `down`: a stack in this process, or in one of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Coroutine
from pathlib import Path
from typing import Any, Final

from dibop.cli import output, runner
from dibop.cli.progress import Lines, Pipe
from dibop.client import Client
from dibop.console import sign_in_link
from dibop.context import Context
from dibop.errors import DibopError, LocalStackError
from dibop.local import demo as walk
from dibop.local import parts
from dibop.local.home import Home, StackState
from dibop.local.stack import LocalStack

_STOP_SECONDS: Final = 90.0
_POLL_SECONDS: Final = 0.05


class _StoppedError(Exception):
    """A signal came before there was anything else to do."""


def up_foreground(home: str | None, *, workers: int, demo: bool, report_fd: int | None = None) -> None:
    """Serve here until SIGINT or SIGTERM. With `report_fd`, tell the process that waits at its other end."""
    where = Home.of(home)
    _require_examples(demo)
    pipe = Pipe(report_fd) if report_fd is not None else None
    runner.quieten_libraries()
    try:
        asyncio.run(_serve(where, workers=workers, demo=demo, pipe=pipe))
    except asyncio.CancelledError:
        output.note("not drained: ended at the second signal")
        raise KeyboardInterrupt from None
    except DibopError as error:
        if pipe is not None:
            pipe.failed(error.to_problem() | {"code": error.code})
        raise


def up_detached(home: str | None, *, workers: int, demo: bool) -> None:
    """Start a supervisor of its own session, return when the stack is ready; then, with `demo`, walk through."""
    where = Home.of(home)
    _require_examples(demo)
    where.prepare()
    began = time.monotonic()
    reading, writing = os.pipe()
    argv = ["up", "--home", str(where.root), "--workers", str(workers), "--report-fd", str(writing)]
    with where.log_file("supervisor").open("ab") as log:
        child = subprocess.Popen(  # noqa: S603  # this very command
            [sys.executable, "-m", "dibop", *argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=(writing,),
        )
    os.close(writing)
    try:
        _follow(reading, where)
        if demo:
            asyncio.run(_walk_through(where))
    except DibopError:
        if StackState.read(where) is not None:
            output.note(f"the stack runs on; stop it with: {command_line()} down --home {_short(where.root)}")
        raise
    except KeyboardInterrupt:
        child.terminate()
        child.wait()
        raise
    link = asyncio.run(_sign_in_link(where))
    _print_ready(where, time.monotonic() - began, link, demo=demo, detached=True)


def stop_running(home: str | None) -> None:
    """Stop the stack of a home and wait until its supervisor is gone; LocalStackError where none runs."""
    where = Home.of(home)
    state = StackState.read(where)
    if state is None:
        raise LocalStackError(f"No stack runs in {where.root}.")
    began = time.monotonic()
    state.supervisor.signal(signal.SIGTERM)
    while state.supervisor.alive:
        if time.monotonic() - began > _STOP_SECONDS:
            raise LocalStackError(
                f"The supervisor (process {state.supervisor.pid}) still stops its parts after {_STOP_SECONDS:g} s. "
                f"Look into {where.log_file('supervisor')}; 'kill -9 {state.supervisor.pid}' ends all of them at once."
            )
        time.sleep(_POLL_SECONDS)
    output.say(f"stopped the stack in {where.root} ({time.monotonic() - began:.1f} s)")


def _require_examples(demo: bool) -> None:
    if demo:
        walk.require_examples()


async def _serve(home: Home, *, workers: int, demo: bool, pipe: Pipe | None) -> None:
    stopping = _signalled()
    began = time.monotonic()
    report = pipe or Lines()
    output.say(f"starting a stack in {home.root}")
    stack = LocalStack(home, workers=workers, report=report)
    with contextlib.suppress(_StoppedError):
        try:
            await _unless(stopping, stack.start())
            if demo:
                await _unless(stopping, _walk_through(home))
            link = None if pipe is not None else await _sign_in_link(home)
            _print_ready(home, time.monotonic() - began, link, demo=demo, detached=False)
            if pipe is not None:
                pipe.ready()
            await stopping.wait()
            output.say("stopping")
        finally:
            await stack.stop()
    output.say("stopped; nothing is left running")


def _signalled() -> asyncio.Event:
    """Set by the first SIGINT or SIGTERM; the next ones are taken for impatience and end the draining."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    main = asyncio.current_task()

    def signalled() -> None:
        if event.is_set() and main is not None:
            main.cancel()
        event.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signalled)
    return event


async def _unless(stopping: asyncio.Event, work: Coroutine[Any, Any, Any] | Awaitable[Any]) -> None:
    """Await `work`; when the stop signal comes first, cancel it and raise _StoppedError."""
    doing = asyncio.ensure_future(work)
    waiting = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({doing, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            doing.cancel()
            await asyncio.gather(doing, return_exceptions=True)
            raise _StoppedError
        doing.result()
    finally:
        waiting.cancel()


async def _walk_through(home: Home) -> None:
    output.say("the demo: from a YAML template to an executed operation")
    async with Client.connect(home.root, name="dibop-demo") as client:
        state = StackState.read(home)
        address = next((part.address for part in state.parts if part.name == "demo-weather"), None) if state else None
        await walk.walk_through(client, home, address, Lines())


def _follow(reading: int, home: Home) -> None:
    """Print the steps that the supervisor tells of, until it is ready or has failed."""
    lines = Lines()
    with os.fdopen(reading) as told:
        for line in told:
            message = json.loads(line)
            if message.get("ready"):
                return
            if "failed" in message:
                raise LocalStackError(message["failed"]["detail"])
            lines.step(message["name"], message["result"], message["seconds"])
    raise LocalStackError(f"The supervisor ended before the stack was ready. Look into {home.log_file('supervisor')}.")


async def _sign_in_link(home: Home) -> str:
    """An address to open; never for a log, since whoever opens it is signed in."""
    return (await sign_in_link(Context.load(home.root))).url


def _print_ready(home: Home, seconds: float, link: str | None, *, demo: bool, detached: bool) -> None:
    command, option = command_line(), f"--home {shlex.quote(_short(home.root))}"
    output.say(f"ready in {seconds:.1f} s")
    state = StackState.read(home)
    for part in state.parts if state else []:
        if part.address:
            output.say(f"  {part.name:<24} {part.address}")
    output.say(f"  {'context':<24} {home.context_file}")
    output.say(f"  {'logs':<24} {home.logs}")
    if link is not None:
        output.say("open this in a browser; it signs you in, once and for ten minutes ('dibop console' makes another)")
        output.say(f"  {link}")
    output.say("what to type next")
    if home.demo_marker.exists():
        output.say(f"  {command} exec openweathermap get_current_weather -p q=Paris {option}")
        output.say(f"  {command} connector show openweathermap {option}")
    elif parts.has_demo() and not demo:
        example = shlex.quote(_short(parts.EXAMPLES / "openweathermap.yaml"))
        output.say(f"  {command} connector apply {example} {option}")
    output.say(f"  {command} connector list {option}")
    output.say(f"  {command} events tail {option}")
    output.say(f"  {command} console {option}")
    output.say(f"  {command} status {option}")
    output.say(f"  {command} down {option}" if detached else "  Ctrl-C stops everything")


def command_line() -> str:
    """How this command was called, so that it can be pasted."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{shlex.quote(_short(Path(sys.executable)))} -m dibop"
    found = shutil.which(called.name)
    if found is not None and Path(found).resolve() == called.resolve():
        return called.name
    return shlex.quote(_short(called.absolute()))


def _short(path: Path) -> str:
    """Relative where it lies below the current directory."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
