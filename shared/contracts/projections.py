"""Small records in the KV buckets: what registry and publisher write for the executors, and executors for all.

Catalogue, connections and enterprises are projections of the registry's database. `generation` only grows for a key, so
that a late writer can see that it is late and must not overwrite. Health is the executors' own, and ordered by `epoch`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

HealthState = Literal["unchecked", "healthy", "degraded", "offline", "auth_error"]
"""`unchecked` is a connection without an entry; `degraded` one with a circuit that is not closed; `offline`: the
last ping found nobody, or waited too long; with `auth_error` the token endpoint refuses it, or the last ping was turned
down."""
PingOutcome = Literal["online", "offline", "timeout", "auth_error"]
"""What a ping of a connection, or a probe of a draft, ends in."""
VersionState = Literal["published", "deprecated", "unpublished", "retired"]


class CatalogueVersion(msgspec.Struct, frozen=True):
    """One version of a connector; `digest` names its document in the object store `templates`.

    `terms` tells where and how it sends credentials, from other versions that do otherwise; empty where not known.
    """

    version: str
    digest: str
    state: VersionState
    published_at: str
    terms: str = ""


class CatalogueEntry(msgspec.Struct, frozen=True):
    """KV `catalogue`, key `<owner>.<slug>`: owner is `platform` for what the catalogue offers to all."""

    slug: str
    owner: str
    generation: int
    versions: list[CatalogueVersion]


class EnterpriseEntry(msgspec.Struct, frozen=True):
    """KV `enterprises`, key `<id>`: how an enterprise stands. One without an entry is in good standing."""

    id: str
    generation: int
    suspended: bool
    sdk_access: bool


class StoredToken(msgspec.Struct, frozen=True):
    """A refresh token, sealed by an executor with the key `kid`. `generation` is the fence of its writers, from 1."""

    generation: int
    kid: str
    sealed: str


class ConnectionEntry(msgspec.Struct, frozen=True):
    """KV `connections`, key `<enterprise>.<connector>.<name>`.

    `owner` is the connector's owner, fixed when the connection is made; `version_policy` is `^1` or `1.2.0`.
    `values` are the fields that are not sensitive, `sealed` the others (base64 of HPKE enc and ciphertext).
    `generation` grows with every change, `credentials` only when other credentials come: not when the same are sealed
    to another key, and not with `token`. With `default` it is the one that runs where none is named; where none has it,
    that is the one called `default`. `terms` are what its owner has consented to (empty: not known), `consented` is the
    version that this was for, empty for a draft.
    """

    id: str
    enterprise: str
    connector: str
    owner: str
    name: str
    generation: int
    version_policy: str
    origin: str
    kid: str
    values: dict[str, str]
    sealed: dict[str, str]
    credentials: int = 0
    token: StoredToken | None = None
    default: bool = False
    consented: str = ""
    terms: str = ""


class CircuitHealth(msgspec.Struct, frozen=True):
    """One circuit of a connection, as its last change left it. `cause` is what opened it."""

    open: bool
    epoch: int
    cause: str = ""


class AuthHealth(msgspec.Struct, frozen=True):
    """Whether the token endpoint refuses the connection. `credentials` says which of its credentials, `cause` why."""

    refused: bool
    credentials: int
    cause: str = ""


class PingHealth(msgspec.Struct, frozen=True):
    """What the last ping found, at `at`, with which of the connection's credentials; `cause` is why it failed.

    `epoch` is in microseconds of the pinger's clock.
    """

    outcome: PingOutcome
    at: str
    credentials: int
    epoch: int
    cause: str = ""


class ConnectionHealth(msgspec.Struct, frozen=True):
    """KV `health`, key `<enterprise>.<connection id>`.

    `circuits` are by the name of the operation that has a circuit of its own, and `""` for the connection's. `auth` is
    there once a token endpoint has refused the connection, `ping` once it was pinged. `epoch` (microseconds of the
    shared state's clock, or the finder's for `auth` and `ping`) is the last change's; `since` is when `state` was
    entered.
    """

    connection: str
    enterprise: str
    connector: str
    name: str
    state: HealthState
    epoch: int
    since: str
    circuits: dict[str, CircuitHealth] = msgspec.field(default_factory=dict)
    auth: AuthHealth | None = None
    ping: PingHealth | None = None
