"""Commands of registry, publisher and executors as methods, for authors and integrators."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Awaitable
from typing import Any, Final

from dibop.client import COMMAND_SECONDS, Client, Reply
from dibop.errors import NotFoundError
from dibop.test_runs import TestRuns
from shared.contracts import commands as c
from shared.contracts.names import PLATFORM

_PUBLISH_SECONDS: Final = 60.0
_EXCHANGE_SECONDS: Final = 60.0
_PING_SECONDS: Final = 60.0
_PAGE: Final = 1000
_REVIEWS_PAGE: Final = 200


class Registry:
    """Drafts, versions, connections and the audit log of one enterprise, or of `platform`.

    `timeout` is how long each answer is waited for, in seconds.
    """

    def __init__(self, client: Client, enterprise: str, *, timeout: float = COMMAND_SECONDS) -> None:
        self._client = client
        self._timeout = timeout
        self.enterprise = enterprise

    async def save_draft(
        self, slug: str, document: dict[str, Any], base_revision: int | None, *, merge: bool = False
    ) -> c.DraftSaved:
        """Save on `base_revision`; ConflictError where others saved since, with `merge` where both changed the same."""
        body = c.SaveDraft(slug=slug, document=document, base_revision=base_revision, merge=merge)
        return await self._ask("draft", "save", body, c.DraftSaved)

    async def patch_draft(self, slug: str, patch: dict[str, Any], base_revision: int) -> c.DraftSaved:
        """Change some fields (RFC 7396) of what stood at `base_revision`; what others changed since stays.

        ConflictError where both changed the same: its `errors` mark these places with `both`.
        """
        body = c.PatchDraft(slug=slug, patch=patch, base_revision=base_revision)
        return await self._ask("draft", "patch", body, c.DraftSaved)

    async def revision(self, slug: str, revision: int) -> c.Draft:
        """The draft as it was at a revision."""
        return await self._ask("draft", "get", c.GetDraft(slug=slug, revision=revision), c.Draft)

    async def history(self, query: c.ListRevisions) -> c.DraftHistory:
        """A page of a draft's revisions, newest first."""
        return await self._ask("draft", "history", query, c.DraftHistory)

    async def restore_draft(self, slug: str, revision: int, base_revision: int) -> c.DraftSaved:
        """Make the document of `revision` the next one; ConflictError where others saved since `base_revision`."""
        body = c.RestoreDraft(slug=slug, revision=revision, base_revision=base_revision)
        return await self._ask("draft", "restore", body, c.DraftSaved)

    async def discard_draft(self, slug: str, base_revision: int) -> c.DraftSaved:
        """Go back to the latest version's document; ConflictError where there is none."""
        body = c.DiscardDraft(slug=slug, base_revision=base_revision)
        return await self._ask("draft", "discard", body, c.DraftSaved)

    async def duplicate(self, command: c.DuplicateConnector) -> c.DraftSaved:
        """Begin a draft as a copy of another connector."""
        return await self._ask("connector", "duplicate", command, c.DraftSaved)

    async def delete_connector(self, slug: str, base_revision: int) -> c.ConnectorDeleted:
        """Delete what was never published; ConflictError where it was, or where connections use it."""
        body = c.DeleteConnector(slug=slug, base_revision=base_revision)
        return await self._ask("connector", "delete", body, c.ConnectorDeleted)

    async def draft(self, slug: str) -> c.Draft | None:
        """The draft, or None where the enterprise has none of this name."""
        return await _or_none(self._ask("draft", "get", c.GetDraft(slug=slug), c.Draft))

    async def connectors(self, query: c.ListConnectors | None = None) -> list[c.ConnectorRow]:
        """All that the query asks for, page by page; without one, all there are."""
        rows: list[c.ConnectorRow] = []
        asked = query or c.ListConnectors()
        after: str | None = None
        while True:
            body = asked.model_copy(update={"limit": _PAGE, "after": after})
            page = await self._ask("connector", "list", body, c.ConnectorPage)
            rows += page.connectors
            after = page.next_after
            if after is None:
                return rows

    async def connector(self, slug: str) -> c.Connector | None:
        """The enterprise's own connector of this name, else the catalogue's, else None."""
        return await _or_none(self.require_connector(slug))

    async def require_connector(self, slug: str) -> c.Connector:
        """The same; NotFoundError with the nearest names where there is none."""
        return await self._ask("connector", "show", c.ShowConnector(slug=slug), c.Connector)

    async def version(self, slug: str, version: str | None = None) -> c.Version | None:
        """A published document, the latest by default; None where there is none."""
        return await _or_none(self._ask("version", "get", c.GetVersion(slug=slug, version=version), c.Version))

    async def create_connection(self, command: c.CreateConnection) -> c.Connection:
        return await self._ask("connection", "create", command, c.Connection)

    async def connections(self, connector: str | None = None) -> list[c.Connection]:
        """All of them, page by page."""
        rows: list[c.Connection] = []
        after: str | None = None
        while True:
            body = c.ListConnections(connector=connector, limit=_PAGE, after=after)
            page = await self._ask("connection", "list", body, c.ConnectionPage)
            rows += page.connections
            after = page.next_after
            if after is None:
                return rows

    async def connection(self, connector: str, name: str | None = None) -> c.Connection:
        """One of them, the default one unless named, with its health; NotFoundError with the nearest names."""
        body = c.ShowConnection(connector=connector, name=name)
        return await self._ask("connection", "show", body, c.Connection)

    async def update_connection(self, command: c.UpdateConnection) -> c.Connection:
        """Change which versions a connection follows, or make it the default; ConflictError where it has changed."""
        return await self._ask("connection", "update", command, c.Connection)

    async def rotate_connection(self, command: c.RotateConnection) -> c.Connection:
        """Put other credentials in place of a connection's; executors use them from the answer on."""
        return await self._ask("connection", "rotate", command, c.Connection)

    async def delete_connection(self, connector: str, name: str) -> c.ConnectionDeleted:
        body = c.DeleteConnection(connector=connector, name=name)
        return await self._ask("connection", "delete", body, c.ConnectionDeleted)

    async def save_test_credentials(self, command: c.SaveTestCredentials) -> c.KeptTestCredentials:
        """Keep credentials for the caller's tests of a draft, for 8 hours at most."""
        return await self._ask("test-credentials", "save", command, c.KeptTestCredentials)

    async def test_credentials(self, connector: str | None = None) -> list[c.KeptTestCredentials]:
        """What the caller keeps."""
        body = c.ListTestCredentials(connector=connector)
        return (await self._ask("test-credentials", "list", body, c.TestCredentialsList)).credentials

    async def delete_test_credentials(self, identifier: str) -> c.TestCredentialsDeleted:
        body = c.DeleteTestCredentials(id=identifier)
        return await self._ask("test-credentials", "delete", body, c.TestCredentialsDeleted)

    async def key_uses(self) -> list[c.KeyUse]:
        """How much is sealed to each sealing key; for `platform` alone."""
        return (await self._ask("keys", "list", c.ListKeyUses(), c.KeyUses)).keys

    async def note_key_rotation(self, kid: str, previous: str) -> c.KeyRotationNoted:
        """Have the audit log say that the executors seal to another key."""
        return await self._ask("keys", "rotated", c.NoteKeyRotation(kid=kid, previous=previous), c.KeyRotationNoted)

    async def retire_key(self, kid: str, *, forget_test_credentials: bool = False) -> c.KeyRetired:
        """Have the registry take nothing more that is sealed to the key; ConflictError while something is."""
        body = c.RetireKey(kid=kid, forget_test_credentials=forget_test_credentials)
        return await self._ask("keys", "retire", body, c.KeyRetired)

    async def create_consumer(self, name: str, pattern: str) -> c.Consumer:
        """A durable consumer of the enterprise's events, for its clients that have the right to read it."""
        body = c.CreateConsumer(name=name, pattern=pattern)
        return await self._ask("consumer", "create", body, c.Consumer)

    async def consumers(self) -> list[c.Consumer]:
        return (await self._ask("consumer", "list", c.ListConsumers(), c.ConsumerList)).consumers

    async def delete_consumer(self, name: str) -> c.ConsumerDeleted:
        return await self._ask("consumer", "delete", c.DeleteConsumer(name=name), c.ConsumerDeleted)

    async def calls(self, query: c.ListCalls, limit: int) -> list[c.Call]:
        """At most `limit` executions that the query asks for, the newest first."""
        found: list[c.Call] = []
        after = query.after
        while True:
            body = query.model_copy(update={"after": after, "limit": min(_PAGE, limit - len(found))})
            page = await self._ask("call", "list", body, c.CallPage)
            found += page.calls
            after = page.next_after
            if after is None or len(found) >= limit:
                return found

    async def audit(self, query: c.ListAudit) -> c.AuditPage:
        return await self._ask("audit", "list", query, c.AuditPage)

    async def _ask(self, noun: str, verb: str, body: c.Message, reply: type[Reply]) -> Reply:
        return await self._client.command("registry", self.enterprise, noun, verb, body, reply, timeout=self._timeout)


class Executors:
    """What operators ask of the executors themselves, for the connections of one enterprise."""

    def __init__(self, client: Client, enterprise: str) -> None:
        self._client = client
        self.enterprise = enterprise

    async def circuits(self, query: c.ShowCircuits) -> c.Circuits:
        """Circuits, cooldowns and limits of a connection as they stand."""
        return await self._client.command("executor", self.enterprise, "circuit", "show", query, c.Circuits)

    async def reset_circuits(self, command: c.ResetCircuits) -> c.CircuitsReset:
        """Close circuits and end cooldowns; an audit entry says who did."""
        return await self._client.command("executor", self.enterprise, "circuit", "reset", command, c.CircuitsReset)

    async def exchange_code(self, command: c.ExchangeCode) -> c.CodeExchanged:
        """Have an executor exchange an authorization code for the connection's tokens."""
        return await self._client.command(
            "executor", self.enterprise, "oauth", "exchange", command, c.CodeExchanged, timeout=_EXCHANGE_SECONDS
        )

    async def exchange_test_code(self, command: c.ExchangeTestCode) -> c.TestCodeExchanged:
        """The same for a test session of a draft; its credentials come back with the tokens, sealed."""
        return await self._client.command(
            "executor", self.enterprise, "oauth", "exchange-test", command, c.TestCodeExchanged,
            timeout=_EXCHANGE_SECONDS,
        )  # fmt: skip

    async def ping(self, command: c.PingConnection) -> c.Probed:
        """Ask a connection's external system whether it is there and takes the credentials."""
        return await self._client.command(
            "executor", self.enterprise, "connection", "ping", command, c.Probed, timeout=_PING_SECONDS
        )

    async def consent(self, command: c.ConsentConnection) -> c.Consented:
        """Let a connection's credentials be sent as another version sends them.

        ConflictError where it has changed, or the version asks for other credentials.
        """
        return await self._client.command(
            "executor", self.enterprise, "connection", "consent", command, c.Consented, timeout=_EXCHANGE_SECONDS
        )

    async def keys(self) -> c.KeysShown:
        """The sealing keys of every worker; for `platform` alone."""
        return await self._client.command("executor", self.enterprise, "keys", "show", c.ShowKeys(), c.KeysShown)

    async def reseal(self, command: c.ResealKeys) -> c.Resealed:
        """Have a worker seal to the active key what is sealed to others; for `platform` alone."""
        return await self._client.command("executor", self.enterprise, "keys", "reseal", command, c.Resealed)


class Publisher(TestRuns):
    """Tests, the gate and publishing of one owner's drafts."""

    async def checklist(self, slug: str, scope: c.Scope) -> c.Checklist:
        """What publishing still needs."""
        body = c.ShowChecklist(slug=slug, scope=scope)
        return await self._ask("connector", "checklist", body, c.Checklist, COMMAND_SECONDS)

    async def diff(self, query: c.DiffConnector) -> c.Difference:
        """What changed between two documents of a connector."""
        return await self._ask("connector", "diff", query, c.Difference, COMMAND_SECONDS)

    async def publish(
        self, slug: str, scope: c.Scope, notes: str = "", *, bump: c.BumpName | None = None
    ) -> c.Published:
        """Publish the draft; `bump` asks for at least this one."""
        body = c.PublishConnector(slug=slug, scope=scope, notes=notes, bump=bump)
        return await self._ask("connector", "publish", body, c.Published, _PUBLISH_SECONDS)

    async def deprecate(self, command: c.DeprecateConnector) -> c.Moved:
        """Say that versions are to be left; they go on working."""
        return await self._ask("connector", "deprecate", command, c.Moved, _PUBLISH_SECONDS)

    async def unpublish(self, command: c.UnpublishConnector) -> c.Moved:
        """Offer versions to no new connection."""
        return await self._ask("connector", "unpublish", command, c.Moved, _PUBLISH_SECONDS)

    async def retire(self, command: c.RetireConnector) -> c.Moved:
        """End versions for good; ConflictError while a connection runs one."""
        return await self._ask("connector", "retire", command, c.Moved, _PUBLISH_SECONDS)

    async def reviews(self, query: c.ListReviews | None = None) -> list[c.ReviewRow]:
        """All that the query asks for, page by page, the newest first."""
        rows: list[c.ReviewRow] = []
        before: int | None = None
        while True:
            body = (query or c.ListReviews()).model_copy(update={"before": before, "limit": _REVIEWS_PAGE})
            page = await self._ask("review", "list", body, c.ReviewPage, COMMAND_SECONDS)
            rows += page.reviews
            before = page.next_before
            if before is None:
                return rows

    async def review(self, identifier: str) -> c.Review:
        """One of them, with its document and comments."""
        return await self._ask("review", "show", c.ShowReview(id=identifier), c.Review, COMMAND_SECONDS)

    async def comment_review(self, command: c.CommentReview) -> c.ReviewCommented:
        return await self._ask("review", "comment", command, c.ReviewCommented, COMMAND_SECONDS)

    async def approve_review(self, command: c.ApproveReview) -> c.ReviewDecided:
        """Publish what was reviewed; for `platform` alone, and for nobody who is one of the authors."""
        return await self._ask("review", "approve", command, c.ReviewDecided, _PUBLISH_SECONDS)

    async def reject_review(self, command: c.RejectReview) -> c.ReviewDecided:
        return await self._ask("review", "reject", command, c.ReviewDecided, COMMAND_SECONDS)

    async def roll_back(self, command: c.RollbackConnector) -> c.Published:
        """Publish the content of an earlier version as the next one."""
        return await self._ask("connector", "rollback", command, c.Published, _PUBLISH_SECONDS)

    async def _ask(self, noun: str, verb: str, body: c.Message, reply: type[Reply], seconds: float) -> Reply:
        return await self._client.command("publisher", self.enterprise, noun, verb, body, reply, timeout=seconds)


async def _or_none(asked: Awaitable[Reply]) -> Reply | None:
    try:
        return await asked
    except NotFoundError:
        return None


def roles(client: Client) -> frozenset[str]:
    """The roles that the caller's token claims; services verify them, this only chooses defaults."""
    token = client.context.token() or ""
    claims = token_claims(token).get("roles", [])
    return frozenset(claims) if isinstance(claims, list) else frozenset()


def token_claims(token: str) -> dict[str, Any]:
    """What a JWT says, unverified; {} for what is not a JWT."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return {}
    return claims if isinstance(claims, dict) else {}


def is_platform_admin(client: Client) -> bool:
    return "platform_admin" in roles(client)


def owners_to_look_at(client: Client) -> list[str]:
    """Where a caller's draft may be: the own enterprise, then the platform for a Platform Admin."""
    return [client.enterprise, PLATFORM] if is_platform_admin(client) else [client.enterprise]


async def owner_of(client: Client, slug: str) -> str:
    """Whose connector the caller means by `slug`: the own enterprise's, else the platform's for a Platform Admin."""
    found = await Registry(client, client.enterprise).connector(slug)
    return found.owner if found is not None and found.owner in owners_to_look_at(client) else client.enterprise


async def find_draft(client: Client, slug: str, owner: str | None = None) -> c.Draft | None:
    """The draft that the caller means by `slug`: the own enterprise's, else the platform's."""
    for enterprise in [owner] if owner else owners_to_look_at(client):
        draft = await Registry(client, enterprise).draft(slug)
        if draft is not None:
            return draft
    return None


async def require_draft(client: Client, slug: str, owner: str | None = None) -> c.Draft:
    """The same; NotFoundError where there is none."""
    draft = await find_draft(client, slug, owner)
    if draft is None:
        raise NotFoundError(
            "not-found",
            f"You see no draft {slug!r}. `dibop connector list` names those there are.",
        )
    return draft
