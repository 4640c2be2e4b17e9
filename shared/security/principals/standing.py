"""How an enterprise stands with the platform, which decides what its own people and services may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Standing:
    """A suspended enterprise's roles count for nothing; without SDK access its SDK admins are admins like others."""

    suspended: bool = False
    sdk_access: bool = True


GOOD: Final = Standing()
"""Every enterprise's of which nothing else was told."""
