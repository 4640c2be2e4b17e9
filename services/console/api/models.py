"""What the API says in words of its own: problems with a pointer and a fix, drafts with an ETag, the problem document.

Everything else is answered as the services answer it: the models of `shared.contracts.commands`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts import commands as c


class View(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PatchStep(View):
    """One operation of a JSON Patch (RFC 6902)."""

    op: Literal["add", "remove", "replace"]
    path: str
    value: Any = None


class Fix(View):
    """A way to mend a problem at once: what a button says, and the change of the document that it stands for."""

    label: str = Field(examples=["Add the parameter city"])
    patch: list[PatchStep]


class TemplateProblem(View):
    """`pointer` is a JSON pointer into the document, `mend` says what would be right."""

    pointer: str = Field(examples=["/operations/0/path"])
    message: str = Field(examples=["'{city}' has no path parameter."])
    mend: str = Field(examples=["Add a parameter city with location path."])
    fix: Fix | None = None

    @classmethod
    def of(cls, problem: c.TemplateProblem) -> TemplateProblem:
        return cls(pointer=problem.path, message=problem.problem, mend=problem.mend)


class DraftView(View):
    """A draft as it stands. `etag` is what `If-Match` takes, the header `ETag` with its quotes."""

    slug: str
    owner: str
    etag: str = Field(examples=['"7"'])
    revision: int
    digest: str
    document: dict[str, Any]
    errors: list[TemplateProblem]
    warnings: list[TemplateProblem]
    saved_by: str
    saved_at: str

    @classmethod
    def of(cls, draft: c.Draft) -> DraftView:
        return cls(
            slug=draft.slug,
            owner=draft.owner,
            etag=etag_of(draft.revision),
            revision=draft.revision,
            digest=draft.digest,
            document=draft.document,
            errors=[TemplateProblem.of(each) for each in draft.errors],
            warnings=[TemplateProblem.of(each) for each in draft.warnings],
            saved_by=draft.saved_by,
            saved_at=draft.saved_at,
        )


class DraftSavedView(View):
    """A draft after a save. `changed` is false where the document was the same as before.

    `document` is given where it is not the one that was sent: merged with what others had saved, with the icon made
    safe, restored, or patched.
    """

    slug: str
    owner: str
    etag: str = Field(examples=['"8"'])
    revision: int
    digest: str
    changed: bool
    merged: bool
    document: dict[str, Any] | None
    errors: list[TemplateProblem]
    warnings: list[TemplateProblem]

    @classmethod
    def of(cls, saved: c.DraftSaved) -> DraftSavedView:
        return cls(
            slug=saved.slug,
            owner=saved.owner,
            etag=etag_of(saved.revision),
            revision=saved.revision,
            digest=saved.digest,
            changed=saved.changed,
            merged=saved.merged,
            document=saved.document,
            errors=[TemplateProblem.of(each) for each in saved.errors],
            warnings=[TemplateProblem.of(each) for each in saved.warnings],
        )


class ProblemView(BaseModel):
    """A refusal or failure (RFC 9457). `type` is `urn:dibop:error:<code>`, and docs/reference/errors.md has the codes.

    `errors` holds one object for each problem: of a template `pointer`, `message`, `mend`; of parameters `name`,
    `problem`, `allowed`; of the gate `item`, `reason`.
    """

    type: str = Field(examples=["urn:dibop:error:not-found"])
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no connector 'openwaethermap'. Did you mean 'openweathermap'?"])
    request_id: str | None = None
    retry_after_ms: int | None = None
    outcome: Literal["not_sent", "unknown"] | None = None
    attempts: list[dict[str, Any]] | None = None
    errors: list[dict[str, Any]] | None = None


def etag_of(revision: int) -> str:
    """A draft's strong entity tag: its revision."""
    return f'"{revision}"'
