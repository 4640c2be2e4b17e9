"""Connections of an enterprise to connectors."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from shared.contracts.commands.base import Cursor, Message, Slug, Token
from shared.contracts.limits import MAX_CREDENTIAL_CHARACTERS, MAX_FIELDS, MAX_SEALED_CHARACTERS
from shared.contracts.projections import HealthState, PingOutcome

Uuid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]
KeyId = Annotated[str, StringConstraints(min_length=1, max_length=64)]
PlainValue = Annotated[str, StringConstraints(max_length=MAX_CREDENTIAL_CHARACTERS)]
SealedValue = Annotated[str, StringConstraints(max_length=MAX_SEALED_CHARACTERS)]
"""Base64 of HPKE's enc and ciphertext."""
MaskedTail = Annotated[str, StringConstraints(max_length=4)]


VersionPolicy = Annotated[str, StringConstraints(pattern=r"^(\^\d{1,6}|\d{1,6}\.\d{1,6}\.\d{1,6})$")]
"""`^1` follows the versions of one major, `1.2.0` stays with that one."""
VersionNumber = Annotated[str, StringConstraints(pattern=r"^\d{1,6}\.\d{1,6}\.\d{1,6}$")]


class GivenCredentials(Message):
    """Credentials of a connector, as whoever received them sealed them. `id` is what they are sealed for: a UUID."""

    connector: Slug
    id: Uuid
    origin: str = Field("", max_length=300)
    kid: str = Field("", max_length=64)
    values: dict[Token, PlainValue] = Field(default_factory=dict, max_length=MAX_FIELDS)
    sealed: dict[Token, SealedValue] = Field(default_factory=dict, max_length=MAX_FIELDS)
    masked: dict[Token, MaskedTail] = Field(default_factory=dict, max_length=MAX_FIELDS)


class CreateConnection(GivenCredentials):
    """`connection.create`. `id` is the UUID that the sealing side made."""

    name: Token = "default"
    owner: Token
    version_policy: VersionPolicy = "^1"


class PingModel(Message):
    """What the last ping has found, and why it failed."""

    outcome: PingOutcome
    at: str
    cause: str = ""


class ConnectionHealthModel(Message):
    """How a connection does, as the executors find it. `cause` is what has led to a state that is not well.

    `since` is None for a connection that nothing was sent through yet, `ping` for one that nobody has pinged.
    """

    state: HealthState = "unchecked"
    since: str | None = None
    cause: str = ""
    ping: PingModel | None = None


class RotateConnection(GivenCredentials):
    """`connection.rotate`: other credentials for the connection `id`. A stored token is dropped with the old ones.

    `conflict` where the name has another connection by now.
    """

    name: Token = "default"


class ShowConnection(Message):
    """`connection.show`; without a name the one that runs where none is named."""

    connector: Slug
    name: Token | None = None


class UpdateConnection(Message):
    """`connection.update`: change how a connection is used; what is None stays.

    `generation` is the connection's that was looked at; `conflict` where it has changed meanwhile. With `default` it is
    the one that runs where none is named, in place of the one that was; it cannot be taken away, only given to another.
    A version on other terms than those consented to is not taken up: `consent_needed` says so.
    """

    connector: Slug
    name: Token = "default"
    generation: int = Field(ge=1)
    version_policy: VersionPolicy | None = None
    default: Literal[True] | None = None


class ConsentConnection(Message):
    """`connection.consent`, to executors: let a connection's credentials be sent as `version` sends them.

    The executor opens the values as they were sealed, and seals them for where they go from now on.
    """

    connector: Slug
    connection: Token = "default"
    version: VersionNumber


class Consented(Message):
    """What was consented to: the version, the address that the credentials go to, and what is different."""

    connector: Slug
    connection: Token
    version: VersionNumber
    origin: str
    changes: list[str]


class RecordConsent(GivenCredentials):
    """`connection.consent` of the registry, by executors: a connection's values, sealed for where `version` sends them.

    `generation` is the connection's that was opened; `conflict` where it has changed. `actor` is who consents.
    """

    name: Token
    generation: int = Field(ge=1)
    version: VersionNumber
    actor: str = Field(min_length=1, max_length=200)


class ConsentRecorded(Message):
    """The connection's generation from now on, and what is different."""

    generation: int
    changes: list[str]


class ConsentNeeded(Message):
    """A version that the policy would take, on other terms than those consented to: `changes`, in words."""

    version: str
    changes: list[str]


class ConsentModel(Message):
    """What was consented to, by whom, and when. `version` is None for a draft."""

    version: str | None
    by: str
    at: str


class StoreToken(Message):
    """`connection.store-token`, by executors: a refresh token, where the stored one is still of generation `expected`.

    `expected` is 0 where there was none. `conflict` names the present generation. With `credentials`, the generation
    of the credentials that the token was got with (0: not known), it is stored for these alone.
    """

    connector: Slug
    name: Token
    id: Uuid
    expected: int = Field(ge=0)
    credentials: int | None = Field(None, ge=0)
    kid: KeyId
    sealed: SealedValue
    scopes: str | None = Field(None, max_length=4096)


class TokenStored(Message):
    """The stored token's generation from now on."""

    generation: int


class ResealedToken(Message):
    kid: KeyId
    sealed: SealedValue


class ResealConnection(Message):
    """`connection.reseal`, by executors: the same credentials and token, sealed to another key.

    `generation` is the connection's that was resealed; `conflict` where it has changed meanwhile. `sealed` holds all
    sealed fields, or none where they stay as they are; `token` is None where that stays.
    """

    connector: Slug
    name: Token
    id: Uuid
    generation: int = Field(ge=1)
    kid: KeyId
    sealed: dict[Token, SealedValue] = Field(default_factory=dict, max_length=MAX_FIELDS)
    token: ResealedToken | None = None


class ConnectionResealed(Message):
    """The connection's generation from now on."""

    generation: int


class TokenModel(Message):
    """What people see of a stored refresh token."""

    generation: int
    scopes: str
    stored_at: str


class Connection(Message):
    """A connection as people see it: sensitive fields only as masked tails (`fields`: name to what may be shown).

    `rotated_by` and `rotated_at` are None as long as it has its first credentials. `default` says that it runs where
    none is named. With `consent_needed` it stays with what it has consented to.
    """

    id: str
    enterprise: str
    connector: str
    owner: str
    name: str
    version_policy: str
    origin: str
    fields: dict[str, str]
    created_by: str
    created_at: str
    rotated_by: str | None = None
    rotated_at: str | None = None
    token: TokenModel | None = None
    health: ConnectionHealthModel = Field(default_factory=ConnectionHealthModel)
    generation: int = 1
    default: bool = False
    consent: ConsentModel | None = None
    consent_needed: ConsentNeeded | None = None


class ListConnections(Message):
    """`connection.list`."""

    connector: Slug | None = None
    limit: int = Field(100, ge=1, le=1000)
    after: Cursor | None = None


class ConnectionPage(Message):
    connections: list[Connection]
    next_after: str | None


class DeleteConnection(Message):
    """`connection.delete`."""

    connector: Slug
    name: Token = "default"


class ConnectionDeleted(Message):
    id: str
    connector: str
    name: str
