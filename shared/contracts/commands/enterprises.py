"""Enterprises: what the platform's services have told of them, and how each stands now."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shared.contracts.commands.base import Cursor, Message, Token

EnterpriseChange = Literal["registered", "suspended", "resumed", "sdk_access_changed"]
EnterpriseState = Literal["active", "suspended"]


class Enterprise(Message):
    """`changed_at` is when it was last suspended or resumed; `registered_at` is absent while nobody has said so.

    `reason` is why it is suspended.
    """

    id: str
    name: str | None
    state: EnterpriseState
    sdk_access: bool
    reason: str
    registered_at: str | None
    changed_at: str | None


class ListEnterprises(Message):
    """`enterprise.list`: those of which something was told, by id; `after` is `next_after` of the page before."""

    state: EnterpriseState | None = None
    limit: int = Field(100, ge=1, le=1000)
    after: Cursor | None = None


class EnterprisePage(Message):
    """`next_after` is given while there is more."""

    enterprises: list[Enterprise]
    next_after: str | None


class ShowEnterprise(Message):
    """`enterprise.show`."""

    id: Token


class ChangeEnterprise(Message):
    """`enterprise.change`: tell it as another service of the platform would, and have all services go by it.

    `name` is for `registered`, `reason` for `suspended`; `sdk_access` must be there for `sdk_access_changed`.
    """

    id: Token
    what: EnterpriseChange
    name: str | None = Field(None, min_length=1, max_length=200)
    reason: str = Field("", max_length=1000)
    sdk_access: bool | None = None
