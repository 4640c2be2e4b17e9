"""The audit log: who changed what."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from shared.contracts.commands.base import Message, Token


class ListAudit(Message):
    """`audit.list`: newest first; `before` is an entry's id, for paging."""

    limit: int = Field(50, ge=1, le=1000)
    before: int | None = None
    noun: Token | None = None
    identifier: str | None = Field(None, max_length=200)


class AuditEntry(Message):
    id: int
    at: str
    actor: str
    enterprise: str
    action: str
    noun: str
    identifier: str
    details: dict[str, Any]
    request_id: str


class AuditPage(Message):
    entries: list[AuditEntry]
    next_before: int | None


class AppendAudit(Message):
    """`audit.append`, by services: `id` makes a repeat harmless."""

    id: str = Field(min_length=1, max_length=64)
    at: str
    actor: str
    action: str
    noun: Token
    identifier: str
    details: dict[str, Any] = Field(default_factory=dict)
    request_id: str = ""


class AuditAppended(Message):
    appended: bool
