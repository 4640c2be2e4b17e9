"""Commands and queries of registry, publisher and executors, and what comes back.

They go to `<plane>.v1.<enterprise>.<noun>.<verb>`. The enterprise is the subject's, the person is the
Authorization header's. Bodies are JSON objects; unknown fields are refused.
"""

from __future__ import annotations

from shared.contracts.commands.audit import AppendAudit, AuditAppended, AuditEntry, AuditPage, ListAudit
from shared.contracts.commands.base import ConnectorState, Digest, Message, Scope, Slug, TemplateProblem, Token
from shared.contracts.commands.circuits import (
    AuditState,
    Circuit,
    Circuits,
    CircuitsReset,
    CircuitState,
    LimitOf,
    LimitUse,
    ResetCircuits,
    ShowCircuits,
)
from shared.contracts.commands.connections import (
    Connection,
    ConnectionDeleted,
    ConnectionHealthModel,
    ConnectionPage,
    CreateConnection,
    DeleteConnection,
    ListConnections,
)
from shared.contracts.commands.connectors import (
    AddVersion,
    CatalogueVersionModel,
    Connector,
    ConnectorPage,
    ConnectorRow,
    DraftSummary,
    GetVersion,
    ListConnectors,
    ShowConnector,
    Version,
    VersionAdded,
    VersionSummary,
)
from shared.contracts.commands.drafts import Draft, DraftSaved, GetDraft, SaveDraft, StagedDraft, StageDraft
from shared.contracts.commands.publishing import Checklist, ChecklistItem, PublishConnector, Published, ShowChecklist
from shared.contracts.commands.testing import (
    PlannedOperation,
    PlanTest,
    RunTest,
    TestCredentials,
    TestedOperation,
    TestPlan,
    TestReport,
)

__all__ = [
    "AddVersion",
    "AppendAudit",
    "AuditAppended",
    "AuditEntry",
    "AuditPage",
    "AuditState",
    "CatalogueVersionModel",
    "Checklist",
    "ChecklistItem",
    "Circuit",
    "CircuitState",
    "Circuits",
    "CircuitsReset",
    "Connection",
    "ConnectionDeleted",
    "ConnectionHealthModel",
    "ConnectionPage",
    "Connector",
    "ConnectorPage",
    "ConnectorRow",
    "ConnectorState",
    "CreateConnection",
    "DeleteConnection",
    "Digest",
    "Draft",
    "DraftSaved",
    "DraftSummary",
    "GetDraft",
    "GetVersion",
    "LimitOf",
    "LimitUse",
    "ListAudit",
    "ListConnections",
    "ListConnectors",
    "Message",
    "PlanTest",
    "PlannedOperation",
    "PublishConnector",
    "Published",
    "ResetCircuits",
    "RunTest",
    "SaveDraft",
    "Scope",
    "ShowChecklist",
    "ShowCircuits",
    "ShowConnector",
    "Slug",
    "StageDraft",
    "StagedDraft",
    "TemplateProblem",
    "TestCredentials",
    "TestPlan",
    "TestReport",
    "TestedOperation",
    "Token",
    "Version",
    "VersionAdded",
    "VersionSummary",
]
