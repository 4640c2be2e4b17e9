"""Files that are written whole or not at all, and files that are followed as they change."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

Stamp = tuple[int, int, int]


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all, and on disk when this returns."""
    write_whole(path, text, mode=0o600)


def write_whole(path: Path, text: str, *, mode: int = 0o644, keep: bool = False) -> None:
    """Write a file, whole or not at all, and on disk when this returns.

    With `keep`, a file that there is keeps its owner and its mode: others may have to read it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.stat() if keep and path.exists() else None
    temporary = path.with_suffix(f".{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "w") as file:
            if before is not None:
                os.fchown(descriptor, before.st_uid, before.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def stamp_of(path: Path) -> Stamp | None:
    """What differs after every change of a file; None while it is away."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
