"""A stack's home directory: what lies where, and who is using it."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dibop.context import FILE_NAME, resolve_home
from dibop.errors import LocalStackError
from dibop.local.processes import ProcessId
from shared.files import write_private


@dataclass(frozen=True, slots=True)
class Home:
    """The paths below a home; nothing else knows their names."""

    root: Path

    @classmethod
    def of(cls, home: str | Path | None = None) -> Home:
        return cls(resolve_home(home))

    def prepare(self) -> None:
        """Make the directories, closed to other users."""
        for directory in (self.root, self.keys, self.data, self.logs, self.nats, self.redis, self.run, self.demo):
            try:
                directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            except OSError as error:
                raise LocalStackError(
                    f"The home {self.root} cannot be used: {error.strerror} ({error.filename}). Choose another --home."
                ) from error

    @property
    def context_file(self) -> Path:
        return self.root / FILE_NAME

    @property
    def ports_file(self) -> Path:
        return self.root / "ports.json"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def nats(self) -> Path:
        return self.root / "nats"

    @property
    def redis(self) -> Path:
        return self.root / "redis"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def demo(self) -> Path:
        return self.root / "demo"

    @property
    def demo_key_file(self) -> Path:
        return self.demo / "api-key"

    @property
    def demo_marker(self) -> Path:
        """There once the demo's connector is published: its version names the demo upstream's port for ever."""
        return self.demo / "published"

    @property
    def signing_key_file(self) -> Path:
        return self.keys / "signing.jwk"

    @property
    def token_keys_file(self) -> Path:
        return self.keys / "tokens.jwks"

    @property
    def key_ring_file(self) -> Path:
        return self.keys / "sealing-ring.json"

    @property
    def seal_key_file(self) -> Path:
        return self.keys / "sealing-key.json"

    @property
    def session_key_file(self) -> Path:
        """What the console encrypts sessions with."""
        return self.keys / "session.key"

    def token_file(self, name: str) -> Path:
        return self.keys / f"{name}.jwt"

    @property
    def nats_keys(self) -> Path:
        """What NATS users are made with, and the credentials of this stack's own."""
        return self.keys / "nats"

    def nats_creds(self, user: str) -> Path:
        return self.nats_keys / f"{user}.creds"

    def database_url(self, service: str) -> str:
        """The service's own variable, where it is set, else a SQLite file here."""
        return (
            os.environ.get(f"DIBOP_{service.upper()}_DATABASE_URL") or f"sqlite+aiosqlite:///{self.data / service}.db"
        )

    def log_file(self, part: str) -> Path:
        return self.logs / f"{part}.log"

    @property
    def state_file(self) -> Path:
        return self.run / "stack.json"

    @property
    def lock_file(self) -> Path:
        return self.run / "lock"


@dataclass(frozen=True, slots=True)
class PartState:
    """One part of a running stack, as the supervisor last saw it. Times are seconds since the epoch."""

    name: str
    state: str
    address: str | None = None
    process: ProcessId | None = None
    since: float | None = None
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class StackState:
    """What the supervisor writes into the home for others to read."""

    supervisor: ProcessId
    version: str
    ready: bool
    since: float
    parts: list[PartState] = field(default_factory=list)

    def write(self, home: Home) -> None:
        write_private(home.state_file, json.dumps(asdict(self), indent=2))

    @classmethod
    def read(cls, home: Home) -> StackState | None:
        """The state of a stack that runs; None where there is none, or only what a killed one left behind."""
        state = cls.left_behind(home)
        return state if state is not None and state.supervisor.alive else None

    @classmethod
    def left_behind(cls, home: Home) -> StackState | None:
        """The last state that was written, whether its supervisor still lives or not."""
        try:
            return cls._from(json.loads(home.state_file.read_text()))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @classmethod
    def _from(cls, content: Mapping[str, Any]) -> StackState:
        parts = [
            PartState(**{**part, "process": ProcessId(**part["process"]) if part["process"] else None})
            for part in content["parts"]
        ]
        return cls(**{**content, "supervisor": ProcessId(**content["supervisor"]), "parts": parts})


class HomeLock:
    """Held by a supervisor for as long as it lives; the kernel lets go of it, however the supervisor ends."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        self._descriptor = os.open(self._home.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            self._descriptor = None
            state = StackState.read(self._home)
            who = f"the stack of process {state.supervisor.pid}" if state else "a stack that is just starting"
            raise LocalStackError(
                f"The home {self._home.root} is in use by {who}. Stop it with 'dibop down --home {self._home.root}', "
                "or choose another --home to run beside it."
            ) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            self._home.state_file.unlink(missing_ok=True)
            os.close(self._descriptor)
