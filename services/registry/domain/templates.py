"""Documents of drafts: what is wrong with them, and which cannot be saved at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from shared.contracts import icons
from shared.contracts.commands import TemplateProblem
from shared.contracts.errors import DibopError
from shared.contracts.template import (
    MAX_TEMPLATE_BYTES,
    Problem,
    Template,
    canonical_json,
    check,
    document_digest,
    slugify,
)
from shared.contracts.template.plain import NotPlain, too_large, value_problems

_MAX_PROBLEMS: Final = 200


def digest(slug: str, document: dict[str, Any]) -> str:
    """The document's digest; `invalid-request` for what has no canonical JSON (RFC 8785) or is out of bounds."""
    try:
        problems = value_problems(document)
    except NotPlain as refused:
        problems = [refused.problem]
    if problems:
        raise _cannot_be_saved(slug, problems)
    content = canonical_json(document)
    if len(content) > MAX_TEMPLATE_BYTES:
        raise _cannot_be_saved(slug, [too_large(len(content))])
    return document_digest(document)


def with_clean_icon(slug: str, document: dict[str, Any]) -> dict[str, Any]:
    """The document with its icon as it may be stored; `invalid-template` where that is no image."""
    cleaned, problem = icons.with_clean_icon(document)
    if problem is not None:
        raise DibopError(
            "invalid-template",
            f"The draft {slug!r} was not saved: {problem.problem} {problem.mend}",
            errors=[problem.as_dict()],
        )
    return cleaned


def review(slug: str, document: dict[str, Any]) -> tuple[list[TemplateProblem], list[TemplateProblem]]:
    """Errors and warnings of a draft, among them a slug that is not the draft's."""
    report = check(document)
    return [*_as_told(report.errors), *_other_slug(slug, document)], _as_told(report.warnings)


def require_valid(slug: str, document: dict[str, Any]) -> Template:
    """The template of a document, or `invalid-template` with its errors."""
    report = check(document)
    errors = [*_as_told(report.errors), *_other_slug(slug, document)]
    if errors or report.template is None:
        raise DibopError(
            "invalid-template",
            f"The draft {slug!r} has {len(errors)} error{'s' if len(errors) != 1 else ''}; `errors` lists them. "
            "Mend them, save the draft, and repeat.",
            errors=[problem.model_dump() for problem in shown(errors)],
        )
    return report.template


def shown(problems: Sequence[TemplateProblem]) -> list[TemplateProblem]:
    """As many problems as an answer has room for; the last entry says how many more there are."""
    if len(problems) <= _MAX_PROBLEMS:
        return list(problems)
    more = TemplateProblem(
        path="",
        problem=f"There are {len(problems) - _MAX_PROBLEMS} more problems than can be listed.",
        mend="Mend these first, then look again.",
    )
    return [*problems[:_MAX_PROBLEMS], more]


def _as_told(problems: Sequence[Problem]) -> list[TemplateProblem]:
    return [TemplateProblem(path=each.path, problem=each.problem, mend=each.mend) for each in problems]


def _other_slug(slug: str, document: dict[str, Any]) -> Iterator[TemplateProblem]:
    """The problem of a document whose own slug, written or made from its name, is not the draft's."""
    written, name = document.get("slug"), document.get("name")
    if isinstance(written, str):
        if written != slug:
            yield TemplateProblem(
                path="/slug",
                problem=f"The draft is saved as {slug!r}, and its document says {written[:80]!r}.",
                mend=f"Write {slug!r} here, or save the document under its own slug.",
            )
    elif "slug" not in document and isinstance(name, str) and slugify(name) != slug:
        yield TemplateProblem(
            path="/name",
            problem=f"The draft is saved as {slug!r}, and the slug made from its name is {slugify(name)!r}.",
            mend=f"Add `slug: {slug}` to the document, or save it under the slug of its name.",
        )


def _cannot_be_saved(slug: str, problems: Sequence[Problem]) -> DibopError:
    first = problems[0]
    more = f" There are {len(problems) - 1} more such places." if len(problems) > 1 else ""
    return DibopError(
        "invalid-request",
        f"The document of {slug!r} cannot be saved: {first}{more}",
        errors=[problem.model_dump() for problem in shown(_as_told(problems))],
    )
