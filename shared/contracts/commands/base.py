"""What commands have in common."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from shared.contracts.limits import MAX_NAME_CHARACTERS
from shared.contracts.names import SLUG_PATTERN, TOKEN_PATTERN

Slug = Annotated[str, StringConstraints(pattern=SLUG_PATTERN)]
Token = Annotated[str, StringConstraints(pattern=TOKEN_PATTERN)]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Cursor = Annotated[str, StringConstraints(max_length=MAX_NAME_CHARACTERS)]
"""Where a page goes on: what the page before it named as `next_after`."""
Named = Annotated[str, StringConstraints(max_length=MAX_NAME_CHARACTERS)]
"""A name that is looked for; what it is not, the answer says."""
Scope = Literal["catalogue", "enterprise"]
ConnectorState = Literal["draft", "published", "deprecated", "unpublished", "retired"]


class Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TemplateProblem(Message):
    """One thing wrong with a template; `path` is a JSON pointer into the document."""

    path: str
    problem: str
    mend: str
