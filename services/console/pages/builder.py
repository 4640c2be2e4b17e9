"""What the Builder's page needs to begin: the draft, the connector around it, defaults, and what the person may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, get_args

from services.console.api.dependencies import Desk
from services.console.api.models import DraftView
from services.console.pages.settings_shown import SETTINGS
from shared.contracts import commands as c
from shared.contracts.errors import DibopError
from shared.contracts.names import PLATFORM
from shared.contracts.template.model import DEFAULT_CREDENTIALS, DEFAULT_HEADER_NAME, ConnectorType
from shared.security.principals import Action

TABS: Final = (
    ("overview", "Overview"),
    ("auth", "Auth & Credentials"),
    ("operations", "Operations"),
    ("resilience", "Resilience"),
    ("test", "Test"),
    ("publish", "Publish"),
    ("source", "Source"),
    ("versions", "Versions"),
)
KEYS: Final = (
    ("Ctrl+S", "Save now"),
    ("Ctrl+Z, Ctrl+Shift+Z", "Undo, redo"),
    ("Ctrl+Enter", "Run the test of the operation that is shown"),
    ("F8", "Go to the next problem"),
    ("Alt+1 to Alt+8", "Go to a tab"),
    ("Alt+Up, Alt+Down", "Move an operation or a parameter"),
    ("Enter", "In the last field of the last row: add a row"),
    ("?", "Show these keys"),
)
TYPES: Final = get_args(ConnectorType)
_ABSENT: Final = frozenset({"not-found", "unknown-connector"})


async def draft_of(desk: Desk, slug: str, owner: str | None) -> c.Draft:
    """The draft that is meant; `not-found` where there is none that the person may see."""
    owner = await desk.owner(slug, owner)
    return await desk.registry(owner, "draft.get", c.GetDraft(slug=slug), c.Draft)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an address of the Builder names."""

    slug: str
    owner: str | None
    tab: str
    operation: str


async def page_values(desk: Desk, wanted: Wanted, *, editor: str) -> dict[str, Any]:
    """What the page's template takes; `data` is what its scripts begin with. `editor` is the text editor's address."""
    slug, owner, tab = wanted.slug, wanted.owner, wanted.tab
    draft = await draft_of(desk, slug, owner)
    try:
        connector = await desk.registry(draft.owner, "connector.show", c.ShowConnector(slug=slug), c.Connector)
        shown: dict[str, Any] | None = connector.model_dump(mode="json")
    except DibopError as error:
        if error.code not in _ABSENT:
            raise
        shown = None
    return {
        "tab": tab,
        "tab_words": dict(TABS)[tab],
        "tabs": TABS,
        "slug": slug,
        "title": str(draft.document.get("name") or slug),
        "base": f"/connectors/{slug}",
        "suffix": f"?owner={owner}" if owner else "",
        "key_list": KEYS,
        "types": TYPES,
        "default_header": DEFAULT_HEADER_NAME,
        "settings": SETTINGS,
        "data": {
            "slug": slug,
            "owner": draft.owner,
            "tab": tab,
            "operation": wanted.operation,
            "editor": editor,
            "draft": DraftView.of(draft).model_dump(mode="json"),
            "connector": shown,
            "scopes": _scopes(desk, draft.owner),
            "defaults": {
                "credentials": {
                    kind: {name: field.model_dump(mode="json", exclude_none=True) for name, field in fields.items()}
                    for kind, fields in DEFAULT_CREDENTIALS.items()
                },
                "resilience": {name: setting.default for name, setting in SETTINGS},
                "header_name": DEFAULT_HEADER_NAME,
            },
        },
    }


def _scopes(desk: Desk, owner: str) -> list[dict[str, str]]:
    """For whom this person may publish a draft of `owner`."""
    principal = desk.caller.principal
    enterprise = {
        "scope": "enterprise",
        "title": f"Only {owner}",
        "words": "Nobody else sees it.",
    }
    catalogue = {
        "scope": "catalogue",
        "title": "Catalogue",
        "words": "All enterprises can connect to it."
        if owner == PLATFORM
        else "All enterprises can connect to it, once a Platform Admin has approved it.",
    }
    if owner == PLATFORM:
        return [catalogue] if principal.may(Action.PUBLISH, PLATFORM) else []
    return [enterprise, catalogue] if principal.may(Action.PUBLISH, owner) else []


def editable_owners(desk: Desk) -> list[str]:
    """Whose drafts this person may make."""
    principal = desk.caller.principal
    return [
        owner for owner in dict.fromkeys([PLATFORM, principal.enterprise]) if principal.may(Action.EDIT_DRAFT, owner)
    ]
