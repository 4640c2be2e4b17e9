"""Templates, with what every page has: addresses of files, the person, the nonce of inline styles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from services.console.pages.assets import Assets
from services.console.security.callers import Caller
from shared.contracts.names import PLATFORM
from shared.security.principals import Action, Principal

TEMPLATES: Final = Path(__file__).resolve().parents[1] / "templates"
_ESCAPES: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def in_script(value: object) -> Markup:
    """JSON that cannot end the script element that it stands in."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return Markup(text)  # noqa: S704  # every character that means something in HTML is escaped


class Renderer:
    """Renders pages; templates are read once."""

    def __init__(self, assets: Assets) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=select_autoescape(),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters["in_script"] = in_script
        self._environment.globals["asset"] = assets.address

    def page(
        self, request: Request, template: str, caller: Caller | None, *, status: int = 200, **values: Any
    ) -> HTMLResponse:
        content = self._environment.get_template(template).render(
            nonce=request.state.csp_nonce,
            me=caller.principal if caller is not None else None,
            navigation=navigation(caller.principal) if caller is not None else (),
            **{"section": "", **values},
        )
        return HTMLResponse(content, status_code=status)


def navigation(principal: Principal) -> list[tuple[str, str, str]]:
    """Address, words and section of each page that this person can use."""
    found = [
        ("/", "Connectors", "catalogue"),
        ("/connections", "Connections", "connections"),
        ("/calls", "Calls", "calls"),
    ]
    if principal.may(Action.FOLLOW_REVIEWS, PLATFORM) or principal.may(Action.FOLLOW_REVIEWS, principal.enterprise):
        found.append(("/reviews", "Reviews", "reviews"))
    if principal.may(Action.READ_AUDIT, principal.enterprise):
        found.append(("/audit", "Audit log", "audit"))
    return [*found, ("/status", "Status", "status")]
