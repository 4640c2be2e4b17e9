"""The bus: the commands that the publisher serves, and what it asks of registry, executors and catalogue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from nats.aio.client import Client
from nats.js.kv import KeyValue
from pydantic import BaseModel

from services.publisher.handlers import comparing, publishing, reviewing, rollback, testing, withdrawing
from services.publisher.handlers.ports import AuditRecord, Caller, Ports
from services.publisher.handlers.saga import MoveRunner
from services.publisher.handlers.test_runner import DraftTester
from services.publisher.settings import PublisherSettings
from shared.contracts import subjects
from shared.contracts.commands import (
    AddVersion,
    ApproveReview,
    AuditAppended,
    CancelTest,
    Checklist,
    CommentReview,
    Connector,
    DeprecateConnector,
    DiffConnector,
    Difference,
    Draft,
    FetchTestCredentials,
    GetDraft,
    GetVersion,
    ListReviews,
    ListTests,
    Moved,
    PlanTest,
    Probed,
    ProbeDraft,
    PublishConnector,
    Published,
    RejectReview,
    RetireConnector,
    Review,
    ReviewCommented,
    ReviewDecided,
    ReviewPage,
    RollbackConnector,
    SetVersionState,
    ShowChecklist,
    ShowConnector,
    ShowReview,
    ShowTest,
    StagedDraft,
    StageDraft,
    StartTest,
    TestCancelled,
    TestCredentials,
    TestPage,
    TestPlan,
    TestRun,
    TestStarted,
    UnpublishConnector,
    Version,
    VersionAdded,
    VersionStateSet,
)
from shared.contracts.errors import DibopError
from shared.contracts.execution import DEADLINE_HEADER, DraftExecutionReply, DraftExecutionRequest
from shared.contracts.projections import CatalogueEntry
from shared.contracts.unreadable import UNREADABLE
from shared.messaging import client
from shared.messaging.kv import put_if_newer
from shared.messaging.service import CommandContext, CommandService

M = TypeVar("M", bound=BaseModel)
Connection = Callable[[], Client]
"""The connection, asked for when it is needed: the service has none before it starts."""

_ANSWER_GRACE_SECONDS: Final = 2.0
"""How long an executor's answer may be on its way after the deadline that it was given."""

_PROBE_SECONDS: Final = 35.0
"""A probe answers in 30 seconds."""


def serve(
    service: CommandService, settings: PublisherSettings, ports: Ports, runner: MoveRunner, test_runner: DraftTester
) -> None:
    """Register every command."""

    def seconds() -> float:
        return settings.publish_wait_seconds

    @service.command("connector", "checklist", ShowChecklist)
    async def show_checklist(context: CommandContext, command: ShowChecklist) -> Checklist:
        return await publishing.show_checklist(_caller(context), command, ports)

    @service.command("connector", "diff", DiffConnector)
    async def diff(context: CommandContext, query: DiffConnector) -> Difference:
        return await comparing.diff(_caller(context), query, ports)

    @service.command("connector", "publish", PublishConnector)
    async def publish(context: CommandContext, command: PublishConnector) -> Published:
        return await publishing.publish(
            _caller(context),
            command,
            ports,
            runner,
            wait_seconds=seconds(),
            reviews_platform=settings.review_platform_drafts,
        )

    @service.command("connector", "rollback", RollbackConnector)
    async def roll_back(context: CommandContext, command: RollbackConnector) -> Published:
        return await rollback.rollback(_caller(context), command, ports, runner, wait_seconds=seconds())

    @service.command("connector", "deprecate", DeprecateConnector)
    async def deprecate(context: CommandContext, command: DeprecateConnector) -> Moved:
        return await withdrawing.deprecate(_caller(context), command, ports, runner, wait_seconds=seconds())

    @service.command("connector", "unpublish", UnpublishConnector)
    async def unpublish(context: CommandContext, command: UnpublishConnector) -> Moved:
        return await withdrawing.unpublish(_caller(context), command, ports, runner, wait_seconds=seconds())

    @service.command("connector", "retire", RetireConnector)
    async def retire(context: CommandContext, command: RetireConnector) -> Moved:
        return await withdrawing.retire(_caller(context), command, ports, runner, wait_seconds=seconds())

    _serve_tests(service, ports, test_runner)
    _serve_reviews(service, settings, ports, runner)


def _serve_tests(service: CommandService, ports: Ports, runner: DraftTester) -> None:
    @service.command("test", "plan", PlanTest)
    async def plan_test(context: CommandContext, command: PlanTest) -> TestPlan:
        return await testing.plan_test(_caller(context), command, ports)

    @service.command("test", "start", StartTest)
    async def start_test(context: CommandContext, command: StartTest) -> TestStarted:
        return await testing.start_test(_caller(context), command, ports, runner)

    @service.command("test", "show", ShowTest)
    async def show_test(context: CommandContext, query: ShowTest) -> TestRun:
        return await testing.show_test(_caller(context), query, ports)

    @service.command("test", "list", ListTests)
    async def list_tests(context: CommandContext, query: ListTests) -> TestPage:
        return await testing.list_tests(_caller(context), query, ports)

    @service.command("test", "cancel", CancelTest)
    async def cancel_test(context: CommandContext, command: CancelTest) -> TestCancelled:
        return await testing.cancel_test(_caller(context), command, ports, runner)


def _serve_reviews(service: CommandService, settings: PublisherSettings, ports: Ports, runner: MoveRunner) -> None:
    @service.command("review", "list", ListReviews)
    async def list_reviews(context: CommandContext, query: ListReviews) -> ReviewPage:
        return await reviewing.page(_caller(context), query, ports)

    @service.command("review", "show", ShowReview)
    async def show_review(context: CommandContext, query: ShowReview) -> Review:
        return await reviewing.show(_caller(context), query, ports)

    @service.command("review", "comment", CommentReview)
    async def comment_review(context: CommandContext, command: CommentReview) -> ReviewCommented:
        return await reviewing.comment(_caller(context), command, ports)

    @service.command("review", "reject", RejectReview)
    async def reject_review(context: CommandContext, command: RejectReview) -> ReviewDecided:
        return await reviewing.reject(_caller(context), command, ports)

    @service.command("review", "approve", ApproveReview)
    async def approve_review(context: CommandContext, command: ApproveReview) -> ReviewDecided:
        return await reviewing.approve(
            _caller(context), command, ports, runner, wait_seconds=settings.publish_wait_seconds
        )


class RegistryClient:
    """The registry's commands, sent with the publisher's own token."""

    def __init__(self, connection: Connection, token_file: Path, timeout_seconds: float) -> None:
        self._connection = connection
        self._token_file = token_file
        self._timeout_seconds = timeout_seconds

    async def draft(self, enterprise: str, slug: str, *, revision: int | None = None, request_id: str) -> Draft:
        query = GetDraft(slug=slug, revision=revision)
        return await self._ask(enterprise, "draft", "get", query, Draft, request_id=request_id)

    async def stage(self, enterprise: str, slug: str, *, request_id: str) -> StagedDraft:
        return await self._ask(enterprise, "draft", "stage", StageDraft(slug=slug), StagedDraft, request_id=request_id)

    async def connector(self, enterprise: str, slug: str, *, request_id: str) -> Connector:
        return await self._ask(
            enterprise, "connector", "show", ShowConnector(slug=slug), Connector, request_id=request_id
        )

    async def version(self, enterprise: str, slug: str, version: str, *, request_id: str) -> Version:
        query = GetVersion(slug=slug, version=version)
        return await self._ask(enterprise, "version", "get", query, Version, request_id=request_id)

    async def add_version(self, enterprise: str, command: AddVersion, *, request_id: str) -> VersionAdded:
        return await self._ask(enterprise, "version", "add", command, VersionAdded, request_id=request_id)

    async def set_version_state(self, enterprise: str, command: SetVersionState, *, request_id: str) -> VersionStateSet:
        return await self._ask(enterprise, "version", "set-state", command, VersionStateSet, request_id=request_id)

    async def test_credentials(
        self, enterprise: str, query: FetchTestCredentials, *, request_id: str
    ) -> TestCredentials:
        return await self._ask(enterprise, "test-credentials", "fetch", query, TestCredentials, request_id=request_id)

    async def append_audit(self, record: AuditRecord) -> None:
        await self._ask(
            record.enterprise,
            "audit",
            "append",
            record.entry,
            AuditAppended,
            request_id=record.entry.request_id or None,
        )

    async def _ask(
        self, enterprise: str, noun: str, verb: str, body: BaseModel, reply: type[M], *, request_id: str | None
    ) -> M:
        return await client.command(
            self._connection(),
            subjects.registry(enterprise, noun, verb),
            body,
            reply,
            timeout=self._timeout_seconds,
            token=self._token_file.read_text().strip(),  # read each time: it may be renewed
            request_id=request_id,
        )


class ExecutorsClient:
    """Tests of drafts, sent to whichever executor is free."""

    def __init__(self, connection: Connection, token_file: Path) -> None:
        self._connection = connection
        self._token_file = token_file

    async def probe(self, enterprise: str, command: ProbeDraft, *, request_id: str) -> Probed:
        return await client.command(
            self._connection(),
            subjects.executor(enterprise, "draft", "probe"),
            command,
            Probed,
            timeout=_PROBE_SECONDS,
            token=self._token_file.read_text().strip(),
            request_id=request_id,
        )

    async def execute(
        self,
        enterprise: str,
        slug: str,
        operation: str,
        request: DraftExecutionRequest,
        *,
        deadline_seconds: float,
        request_id: str,
    ) -> DraftExecutionReply:
        answer = await client.request(
            self._connection(),
            subjects.draft_execute(enterprise, slug, operation),
            request,
            timeout=deadline_seconds + _ANSWER_GRACE_SECONDS,
            request_id=request_id,
            headers={DEADLINE_HEADER: str(int(deadline_seconds * 1000))},
        )
        try:
            return msgspec.json.decode(answer, type=DraftExecutionReply)
        except UNREADABLE as error:
            raise DibopError(
                "internal",
                f"The executor's reply for {operation!r} cannot be read ({error}). Run executors and publisher of the "
                "same version; if they are, report the request id.",
                request_id=request_id,
            ) from error


class CatalogueBucket:
    """The KV bucket `catalogue`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._bucket: KeyValue | None = None

    async def put(self, entry: CatalogueEntry) -> None:
        if self._bucket is None:
            self._bucket = await self._connection().jetstream().key_value(subjects.CATALOGUE_BUCKET)
        key = subjects.catalogue_key(entry.owner, entry.slug)
        await put_if_newer(self._bucket, key, msgspec.json.encode(entry), _generation)


def _generation(value: bytes) -> int:
    return msgspec.json.decode(value, type=CatalogueEntry).generation


def _caller(context: CommandContext) -> Caller:
    return Caller(context.principal, context.enterprise, context.request_id)
