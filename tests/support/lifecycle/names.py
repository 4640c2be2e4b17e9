"""The model speaks of `home` and `crm`; each history has enterprises and slugs of its own, by its number."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.lifecycle.people import PLATFORM


@dataclass(frozen=True)
class Names:
    number: int

    def real(self, name: str) -> str:
        """What the services know an enterprise or a slug by."""
        return name if name == PLATFORM else f"{name}{self.number}"

    def connection(self, name: str) -> str:
        """`crm.default` as it is in the audit log."""
        slug, _, rest = name.partition(".")
        return f"{self.real(slug)}.{rest}" if rest else self.real(slug)

    def has(self, name: str) -> bool:
        """Whether an enterprise or slug, or the slug of a connection, is of this history."""
        return name.partition(".")[0].lstrip("abcdefghijklmnopqrstuvwxyz") == str(self.number)
