"""What a worker does while the state that all share is away: by itself, without limits, or nothing at all."""

from __future__ import annotations

import re
from typing import Final, Literal, get_args

import msgspec

from services.executor.resilience.types import ScopeKey

Loss = Literal["local", "open", "closed"]
LOSSES: Final[tuple[Loss, ...]] = get_args(Loss)
_CONNECTOR: Final = re.compile(r"[a-z][a-z0-9_-]*\.[a-z][a-z0-9-]*")


class OnLoss(msgspec.Struct, frozen=True, gc=False):
    """`default`, and what differs from it by `<owner>.<connector>`.

    local: keep to this worker's share of every limit. open: send, limits or not. closed: send nothing.
    """

    default: Loss = "local"
    connectors: dict[str, Loss] = msgspec.field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> OnLoss:
        """From `local, <owner>.<connector>=open, …`; ValueError for anything else."""
        default: Loss = "local"
        connectors: dict[str, Loss] = {}
        for item in filter(None, (part.strip() for part in text.split(","))):
            connector, equals, word = (part.strip() for part in item.rpartition("="))
            loss = next((known for known in LOSSES if known == word), None)
            if loss is None or (equals and not _CONNECTOR.fullmatch(connector)):
                raise ValueError(
                    f"{item!r} is not known. Write local, open or closed, or <owner>.<connector>= with one of them."
                )
            if equals:
                connectors[connector] = loss
            else:
                default = loss
        return cls(default, connectors)

    def of(self, scope: ScopeKey) -> Loss:
        """What holds for the connector in the scope's hash tag."""
        if not self.connectors:
            return self.default
        return self.connectors.get(scope.prefix[scope.prefix.find("{") + 1 : scope.prefix.find("}")], self.default)
