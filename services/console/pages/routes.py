"""Every page and its address. A page without a session leads to sign-in and back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import quote

from fastapi import FastAPI, Request
from starlette.responses import RedirectResponse, Response

from services.console.api.dependencies import Desk
from services.console.pages import builder
from services.console.pages.assets import Assets
from services.console.pages.rendering import Renderer
from services.console.parts import Parts
from services.console.problems import HttpError
from services.console.security.callers import Caller, request_id_of
from shared.contracts.errors import DibopError
from shared.contracts.names import PLATFORM
from shared.security.principals import Action, Role

Handler = Callable[[Request, Desk], Awaitable[Response]]

_TABS: Final = frozenset(name for name, _ in builder.TABS)
_SIGN_IN: Final = "/sign-in"


class Pages:
    """The pages over `parts`."""

    def __init__(self, parts: Parts, assets: Assets) -> None:
        self._parts = parts
        self._assets = assets
        self.render = Renderer(assets)

    def routes(self) -> list[tuple[str, Handler]]:
        """Addresses and what answers them, for signed-in people."""
        return [
            ("/", self._plain("catalogue.html", "catalogue")),
            ("/connectors/new", self.new),
            ("/connectors/{slug}", self.connector),
            ("/connectors/{slug}/{tab}", self.builder),
            ("/connectors/{slug}/operations/{operation}", self.builder),
            ("/connections", self._plain("connections.html", "connections")),
            ("/connections/new", self._plain("connection_new.html", "connections")),
            ("/connections/{slug}/{name}", self._plain("connection.html", "connections", "slug", "name")),
            ("/calls", self._plain("calls.html", "calls")),
            ("/reviews", self._plain("reviews.html", "reviews")),
            ("/reviews/{id}", self._plain("review.html", "reviews", "id")),
            ("/audit", self._plain("audit.html", "audit")),
            ("/status", self.status),
        ]

    async def sign_in(self, request: Request) -> Response:
        """200 for everybody; those who are signed in can sign in as somebody else."""
        return self.render.page(request, "sign_in.html", None, oidc=self._parts.oidc is not None)

    async def new(self, request: Request, desk: Desk) -> Response:
        owners = builder.editable_owners(desk)
        return self._shown(request, desk, "new.html", "catalogue", types=builder.TYPES, owners=owners, data={})

    async def connector(self, request: Request, desk: Desk) -> Response:
        """What the catalogue has, people see through their own enterprise; who may edit there names the owner."""
        slug, owner = request.path_params["slug"], request.query_params.get("owner")
        shown = await desk.connector(slug, owner if owner in desk.owners else None)
        data = {
            "slug": slug,
            "owner": shown.owner if shown.owner in desk.owners else None,
            "latest": shown.latest_version,
            "versions": [version.model_dump(mode="json") for version in shown.versions],
        }
        principal = desk.caller.principal
        rights = {
            "may_edit": principal.may(Action.EDIT_DRAFT, shown.owner),
            "may_publish": principal.may(Action.PUBLISH, shown.owner),
        }
        return self._shown(request, desk, "connector.html", "catalogue", connector=shown, data=data, **rights)

    async def builder(self, request: Request, desk: Desk) -> Response:
        slug, tab = request.path_params["slug"], request.path_params.get("tab", "operations")
        if tab not in _TABS:
            raise DibopError("not-found", f"A connector has no page {tab!r}.")
        wanted = builder.Wanted(slug, request.query_params.get("owner"), tab, request.path_params.get("operation", ""))
        values = await builder.page_values(desk, wanted, editor=self._assets.address("vendor/editor.js"))
        return self.render.page(request, "builder.html", desk.caller, **values)

    async def status(self, request: Request, desk: Desk) -> Response:
        platform = Role.PLATFORM_ADMIN in desk.caller.principal.roles
        return self._shown(request, desk, "status.html", "status", data={"platform": platform})

    def _plain(self, template: str, section: str, *names: str) -> Handler:
        """A page that gets everything over the API; `names` are the parts of its address."""

        async def page(request: Request, desk: Desk) -> Response:
            named = {name: request.path_params[name] for name in names}
            return self._shown(request, desk, template, section, data=named, **named)

        return page

    def _shown(self, request: Request, desk: Desk, template: str, section: str, **values: Any) -> Response:
        principal = desk.caller.principal
        rights = {
            "may_create": bool(builder.editable_owners(desk)),
            "may_connect": principal.may(Action.MANAGE_CONNECTIONS, principal.enterprise),
            "may_execute": principal.may(Action.EXECUTE, principal.enterprise),
            "may_review": principal.may(Action.REVIEW, PLATFORM),
            "platform": principal.may(Action.MANAGE_ENTERPRISES, PLATFORM),
        }
        return self.render.page(request, template, desk.caller, section=section, **{**rights, **values})


def mount(app: FastAPI, parts: Parts) -> None:
    """Add every page and the static files."""
    assets = Assets()
    pages = Pages(parts, assets)
    app.state.pages = pages
    add = _adder(app)
    add("/static/{digest}/{name:path}", assets.serve)
    add(_SIGN_IN, pages.sign_in)
    for path, handler in pages.routes():
        add(path, _for_people(parts, handler))


def _adder(app: FastAPI) -> Callable[[str, Callable[[Request], Awaitable[Response]]], None]:
    def add(path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> None:
        app.add_route(path, endpoint, methods=["GET"], include_in_schema=False)

    return add


def _for_people(parts: Parts, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def page(request: Request) -> Response:
        caller = await parts.callers.signed_in(request)
        if caller is None:
            return RedirectResponse(sign_in_address(request), status_code=303)
        return await handler(request, Desk(caller, parts))

    return page


def sign_in_address(request: Request) -> str:
    """Where a person signs in who wanted `request`'s page."""
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return _SIGN_IN if wanted == "/" else f"{_SIGN_IN}?next={quote(wanted, safe='/')}"


async def error_page(request: Request, error: DibopError) -> Response:
    """What a person sees where a page cannot be shown."""
    pages: Pages = request.app.state.pages
    parts: Parts = request.app.state.parts
    caller: Caller | None = None
    try:
        caller = await parts.callers.signed_in(request)
    except DibopError:
        caller = None
    status = error.http_status if isinstance(error, HttpError) else error.status
    values: dict[str, Any] = {
        "code": status,
        "title": "Not found" if status == 404 else error.kind.title,
        "detail": error.detail,
        "request_id": request_id_of(request),
    }
    return pages.render.page(request, "error.html", caller, status=status, **values)
