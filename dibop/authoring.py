"""Template files on their way to the registry: read, completed, checked, saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from dibop.admin import Registry, find_draft, is_platform_admin
from dibop.client import Client
from dibop.errors import ConflictError, InvalidRequestError
from dibop.values import assign
from shared.contracts.commands import DraftSaved
from shared.contracts.names import PLATFORM
from shared.contracts.template import PartName, Problem, Source, SourceError, Template, check, check_part, parse_source
from shared.contracts.template.data_urls import MAX_ICON_BYTES, ImageType, data_url, is_data_url
from shared.contracts.template.problems import located

_ICON_TYPES: Final[dict[str, ImageType]] = {".png": "image/png", ".svg": "image/svg+xml"}

Owner = Literal["platform", "enterprise"]


class TemplateFileError(InvalidRequestError):
    """A file that holds no valid document; `errors` says where, with line and column where they are known."""

    def __init__(self, path: Path, problems: Sequence[Problem]) -> None:
        count = f"{len(problems)} problem{'' if len(problems) == 1 else 's'}"
        super().__init__("invalid-template", f"{path} has {count}.", errors=[p.as_dict() for p in problems])
        self.path = path
        self.problems = list(problems)


@dataclass(frozen=True, slots=True)
class TemplateFile:
    """A file that was read. `template` is None where there are errors."""

    path: Path
    document: Any
    template: Template | None
    errors: list[Problem]
    warnings: list[Problem]

    def require_valid(self) -> Template:
        if self.template is None:
            raise TemplateFileError(self.path, self.errors)
        return self.template


def read_template(path: Path, *, assignments: Sequence[str] = (), part: PartName | None = None) -> TemplateFile:
    """Read and check a template, or one part of one.

    `assignments` (`path=value`) replace values of the document first, and an icon file is taken in.
    Raises InvalidRequestError for a file that cannot be read, and TemplateFileError for one that is no document.
    """
    source = _source(path)
    document = source.document
    icon_problems: list[Problem] = []
    if isinstance(document, dict) and part is None:
        for assignment in assignments:
            try:
                assign(document, assignment)
            except ValueError as error:
                raise InvalidRequestError("invalid-request", f"--set cannot be applied: {error}.") from error
        icon_problems = _take_in_icon(document, path, source)
    report = check_part(part, document, position=source.position) if part else check(document, position=source.position)
    errors = [*icon_problems, *report.errors]
    errors += located(_unsafe_icon(document, errors), source.position)
    return TemplateFile(path, document, None if errors else report.template, errors, report.warnings)


async def save(
    client: Client,
    file: TemplateFile,
    *,
    owner: Owner | None = None,
    revision: int | None = None,
    merge: bool = False,
) -> DraftSaved:
    """Save the document as a draft, on the current revision or on the one that is named.

    The owner is, where none is named, that of the draft there is, else the platform for a Platform Admin, else
    the caller's enterprise. Raises ConflictError where somebody saved since; with `merge` only where both changed the
    same.
    """
    slug = _slug_of(file)
    named = {"platform": PLATFORM, "enterprise": client.enterprise, None: None}[owner]
    draft = await find_draft(client, slug, named)
    if draft is not None:
        enterprise, current = draft.owner, draft.revision
    else:
        enterprise, current = named or (PLATFORM if is_platform_admin(client) else client.enterprise), None
    if revision is not None and current is None:
        raise ConflictError(
            "conflict",
            f"There is no draft {slug!r} of {enterprise!r}, so no revision {revision}. Leave --revision out.",
        )
    return await Registry(client, enterprise).save_draft(slug, file.document, revision or current, merge=merge)


def _slug_of(file: TemplateFile) -> str:
    if file.template is not None:
        return file.template.slug
    slug = file.document.get("slug") if isinstance(file.document, dict) else None
    name = file.document.get("name") if isinstance(file.document, dict) else None
    if isinstance(slug, str):
        return slug
    if isinstance(name, str):
        from shared.contracts.template import slugify

        return slugify(name)
    raise TemplateFileError(file.path, file.errors)


def _source(path: Path) -> Source:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidRequestError("invalid-request", f"{path} cannot be read: {error.strerror}.") from error
    try:
        return parse_source(data, name=str(path))
    except SourceError as error:
        raise TemplateFileError(path, error.problems) from error


def _take_in_icon(document: dict[str, Any], path: Path, source: Source) -> list[Problem]:
    """Put an icon file beside the YAML into the document as a `data:` URL; the answer is what is wrong with it."""
    icon = document.get("icon")
    if not isinstance(icon, str) or icon.startswith("data:") or not icon:
        return []
    position = source.position("/icon") or (None, None)

    def problem(text: str, mend: str) -> list[Problem]:
        return [Problem("/icon", text, mend, *position)]

    file = path.parent / icon
    media_type = _ICON_TYPES.get(file.suffix.lower())
    if media_type is None:
        return problem(f"{icon!r} is neither PNG nor SVG.", "Name a .png or .svg file, or give a data: URL.")
    if not file.resolve().is_relative_to(path.parent.resolve()):
        return problem(f"{icon!r} leads out of the template's folder.", "Put the icon beside the template.")
    try:
        content = file.read_bytes()
    except OSError as error:
        return problem(f"The icon {icon!r} cannot be read: {error.strerror}.", "Put the file beside the template.")
    if len(content) > MAX_ICON_BYTES:
        return problem(f"The icon has {len(content):,} bytes.", f"At most {MAX_ICON_BYTES:,} are allowed.")
    document["icon"] = data_url(media_type, content)
    return []


def _unsafe_icon(document: Any, errors: Sequence[Problem]) -> list[Problem]:
    """What the registry would refuse of an icon that begins like an image, where the rules say nothing of it."""
    icon = document.get("icon") if isinstance(document, dict) else None
    if not isinstance(icon, str) or not is_data_url(icon) or any(problem.path == "/icon" for problem in errors):
        return []
    from shared.contracts.icons import with_clean_icon

    _, problem = with_clean_icon(document)
    return [problem] if problem else []
