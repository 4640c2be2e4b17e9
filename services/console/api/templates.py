"""Templates as texts and as documents: checked, converted, and what a person has to give for them."""

from __future__ import annotations

import asyncio
import base64
from typing import Annotated, Any, Final, Literal

import yaml
from fastapi import Body, Request
from pydantic import Field
from starlette.responses import Response

from services.console.api import routing
from services.console.api.dependencies import CallerOf
from services.console.api.models import TemplateProblem, View
from services.console.problems import HttpError
from shared.contracts.errors import DibopError
from shared.contracts.icons import IconError, clean_icon
from shared.contracts.template import (
    CredentialField,
    PartName,
    Problem,
    SourceError,
    Template,
    check,
    check_part,
    json_schema,
    parse_source,
)
from shared.contracts.template.data_urls import IMAGE_TYPES, MAX_ICON_BYTES, PNG_SIGNATURE, data_url

router = routing.router("templates")

YAML: Final = "application/yaml"


class CheckTemplate(View):
    """A template as `document`, or as `source`: its YAML or JSON text. With `part`, one part of it by itself."""

    document: dict[str, Any] | None = None
    source: str | None = Field(None, examples=["name: Weather\nslug: weather\n"])
    part: PartName | None = None


class PlacedProblem(TemplateProblem):
    """`line` and `column` count from 1, and are given where there is a source."""

    line: int | None = None
    column: int | None = None

    @classmethod
    def at(cls, problem: Problem) -> PlacedProblem:
        return cls(
            pointer=problem.path,
            message=problem.problem,
            mend=problem.mend,
            line=problem.line,
            column=problem.column,
        )


class CheckedTemplate(View):
    """`document` is what the source says; null where it cannot be read. `credential_fields` are what a connection gives
    and what a person is asked for; null where the template is not valid.
    """

    valid: bool
    document: Any
    errors: list[PlacedProblem]
    warnings: list[PlacedProblem]
    credential_fields: dict[str, CredentialField] | None


class TemplateText(View):
    source: str


class IconView(View):
    """`icon` is the value that a template's `icon` takes: a `data:` URL of the image, made safe."""

    icon: str


@router.post("/templates/check", summary="Check a template without saving it")
async def check_template(body: CheckTemplate, caller: CallerOf) -> CheckedTemplate:
    """The same rules that a save applies, with line and column for a source."""
    _ = caller
    if (body.document is None) == (body.source is None):
        raise DibopError("invalid-request", "Give either document or source.")
    return await asyncio.to_thread(_checked, body)


@router.post("/templates/yaml", summary="A document as YAML")
async def as_yaml(document: Annotated[dict[str, Any], Body()], caller: CallerOf) -> TemplateText:
    """In the order of its fields. Reading it back gives the same document."""
    _ = caller
    return TemplateText(source=await asyncio.to_thread(yaml_text, document))


@router.get("/templates/schema", summary="The JSON Schema of templates")
async def schema() -> dict[str, Any]:
    return json_schema()


@router.post(
    "/icons",
    summary="Check an icon and make it safe",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in IMAGE_TYPES},
        }
    },
)
async def make_icon(request: Request, caller: CallerOf) -> IconView:
    """The body is the image itself, PNG or SVG, 256 KiB at most. Scripts and references of an SVG are taken out."""
    _ = caller
    image = await request.body()
    if len(image) > MAX_ICON_BYTES:
        raise HttpError(
            413, "invalid-request", f"The icon has {len(image):,} bytes. At most {MAX_ICON_BYTES:,} are taken."
        )
    kind: Literal["image/png", "image/svg+xml"] = "image/png" if image.startswith(PNG_SIGNATURE) else "image/svg+xml"
    try:
        return IconView(icon=await asyncio.to_thread(clean_icon, data_url(kind, image)))
    except IconError as error:
        raise DibopError(
            "invalid-template",
            f"This is no icon. {error}",
            errors=[{"path": "/icon", "problem": error.problem, "mend": error.mend}],
        ) from None


def icon_response(document: dict[str, Any]) -> Response:
    """The icon of a document as an image that does nothing wherever it is shown; `not-found` where it has none."""
    icon = document.get("icon")
    kind, _, data = icon.removeprefix("data:").partition(";base64,") if isinstance(icon, str) else ("", "", "")
    if kind not in {"image/png", "image/svg+xml"}:
        raise DibopError("not-found", "This connector has no icon.")
    return Response(
        base64.b64decode(data),
        media_type=kind,
        headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"},
    )


def yaml_text(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


def valid(slug: str, document: dict[str, Any]) -> Template:
    """The template of a document; `invalid-template` with all that is wrong."""
    report = check(document)
    if report.template is None:
        raise DibopError(
            "invalid-template", f"The template of {slug!r} is not valid.", errors=[p.as_dict() for p in report.errors]
        )
    return report.template


def _checked(body: CheckTemplate) -> CheckedTemplate:
    document: Any = body.document
    position = None
    if body.source is not None:
        try:
            source = parse_source(body.source)
        except SourceError as error:
            problems = [PlacedProblem.at(each) for each in error.problems]
            return CheckedTemplate(valid=False, document=None, errors=problems, warnings=[], credential_fields=None)
        document, position = source.document, source.position
    report = check_part(body.part, document, position=position) if body.part else check(document, position=position)
    return CheckedTemplate(
        valid=report.ok,
        document=document,
        errors=[PlacedProblem.at(each) for each in report.errors],
        warnings=[PlacedProblem.at(each) for each in report.warnings],
        credential_fields=None if report.template is None else report.template.credential_fields(),
    )
