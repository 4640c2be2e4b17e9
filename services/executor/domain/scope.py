"""Scopes: whose limits and circuit a request counts against."""

from __future__ import annotations

import msgspec


class Scope(msgspec.Struct, frozen=True, gc=False):
    """A connection of an enterprise; `connection` is its id, None for all of a connector's calls without one.

    `name` is what people call the connection.

    A draft's tests have scopes of their own, so that they neither eat nor trip what production has.
    """

    enterprise: str
    owner: str
    connector: str
    connection: str | None
    draft: bool = False
    name: str = ""
