"""Reading of drafts as templates, and the changes between two templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.publisher.domain.difference import document_changes
from services.publisher.domain.versioning import Change
from shared.contracts.commands import TemplateProblem
from shared.contracts.errors import DibopError
from shared.contracts.template import Template, check
from shared.contracts.template.model import Part


def read_template(document: Mapping[str, Any]) -> tuple[Template | None, Sequence[TemplateProblem]]:
    """The template, or None and what is wrong with it."""
    report = check(dict(document))
    if report.template is not None and not report.errors:
        return report.template, ()
    return None, [TemplateProblem(path=p.path, problem=p.problem, mend=p.mend) for p in report.errors]


def valid_template(slug: str, document: Mapping[str, Any], known_problems: Sequence[TemplateProblem] = ()) -> Template:
    """The template, or `invalid-template` with all its problems, those included that the registry knows of."""
    template, found = read_template(document)
    problems = known_problems or found
    if template is None or problems:
        raise DibopError(
            "invalid-template",
            f"The document of {slug!r} breaks {len(problems)} of the rules for templates. Mend each place that "
            "`errors` names, and save it again.",
            errors=[problem.model_dump() for problem in problems],
        )
    return template


def changes(old: Template, new: Template) -> list[Change]:
    """What changed from `old` to `new`, each change with the bump it asks for."""
    return document_changes(_written_out(old), _written_out(new))


def _written_out(template: Template) -> dict[str, Any]:
    """The document with all defaults as they count, so that writing one out changes nothing."""
    document = _fields(template)
    document["credential_schema"] = {name: _fields(field) for name, field in template.credential_fields().items()}
    document["header_name"] = template.credential_header()
    document["key_prefix"] = template.key_prefix or ""
    document["operations"] = [_operation(operation) for operation in document["operations"]]
    return document


def _operation(fields: dict[str, Any]) -> dict[str, Any]:
    overridden = {name: value for name, value in (fields["resilience"] or {}).items() if value is not None}
    parameters = [{**each, "required": each["required"] or each["location"] == "path"} for each in fields["parameters"]]
    return {**fields, "resilience": overridden, "parameters": parameters}


def _fields(part: Part) -> dict[str, Any]:
    """A part's fields under the names that they have in documents, `x-` names included."""
    named = {field.alias or name: _plain(getattr(part, name)) for name, field in type(part).model_fields.items()}
    return {**named, **part.extensions}


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        return _fields(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
