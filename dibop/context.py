"""The context file: where a stack is and who its caller is. `dibop up` writes it, every command reads it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from dibop.errors import ContextError

HOME_VARIABLE: Final = "DIBOP_HOME"
DEFAULT_HOME: Final = ".dibop"
FILE_NAME: Final = "context.json"
_PATHS: Final = frozenset({"nats_creds", "nats_tls_ca", "nats_tls_cert", "nats_tls_key", "token_file", "seal_key_file"})
_REQUIRED: Final = ("nats_url", "enterprise")


@dataclass(frozen=True, slots=True)
class Context:
    """What a client needs to know. Paths are absolute; whatever is absent is None.

    `nats_inbox_prefix` is `_INBOX.<enterprise>` unless given: where answers may go is part of a user's permissions.
    """

    nats_url: str
    enterprise: str
    nats_inbox_prefix: str = ""
    nats_creds: Path | None = None
    nats_tls_ca: Path | None = None
    nats_tls_cert: Path | None = None
    nats_tls_key: Path | None = None
    token_file: Path | None = None
    seal_key_file: Path | None = None
    console_url: str | None = None

    def __post_init__(self) -> None:
        if not self.nats_inbox_prefix:
            object.__setattr__(self, "nats_inbox_prefix", f"_INBOX.{self.enterprise}")

    @classmethod
    def load(cls, home: str | Path | None = None, **overrides: Any) -> Context:
        """Read `<home>/context.json`; each override that is not None takes the place of the file's value.

        The file may be missing where the overrides give `nats_url` and `enterprise`.
        Raises ContextError, which names the file and what to do.
        """
        given = {name: value for name, value in overrides.items() if value is not None}
        unknown = given.keys() - {field.name for field in fields(cls)}
        if unknown:
            raise TypeError(f"a context has no {', '.join(sorted(unknown))}")
        path = resolve_home(home) / FILE_NAME
        if all(given.get(name) for name in _REQUIRED) and not path.exists():
            return cls(**_typed(given))
        return replace(cls._read(path), **_typed(given))

    @classmethod
    def _read(cls, path: Path) -> Context:
        try:
            content = json.loads(path.read_text())
        except FileNotFoundError:
            raise ContextError(
                f"There is no {path}. Start a stack with 'dibop up --home {path.parent}', or point --home or "
                f"{HOME_VARIABLE} at the home of one that runs."
            ) from None
        except (OSError, ValueError) as error:
            raise ContextError(f"{path} cannot be read: {error}. 'dibop up' writes it anew.") from error
        if not isinstance(content, dict) or not all(isinstance(content.get(name), str) for name in _REQUIRED):
            raise ContextError(
                f"{path} must be a JSON object with {' and '.join(_REQUIRED)}. 'dibop up' writes it anew."
            )
        known = {field.name for field in fields(cls)}
        return cls(**_typed({name: value for name, value in content.items() if name in known and value is not None}))

    def dump(self) -> str:
        """The file's text; what is absent is left out."""
        content = {field.name: getattr(self, field.name) for field in fields(self)}
        return json.dumps({k: str(v) for k, v in content.items() if v is not None}, indent=2) + "\n"

    def token(self) -> str | None:
        """The caller's token, read anew each time, so that a renewed one is picked up."""
        if self.token_file is None:
            return None
        try:
            return self.token_file.read_text().strip()
        except OSError as error:
            raise ContextError(f"The token file {self.token_file} cannot be read: {error.strerror}.") from error


def resolve_home(home: str | Path | None = None) -> Path:
    """The home directory: the argument, else DIBOP_HOME, else `.dibop` here; always absolute."""
    return Path(home or os.environ.get(HOME_VARIABLE) or DEFAULT_HOME).expanduser().absolute()


def _typed(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: Path(value) if name in _PATHS else value for name, value in values.items()}
