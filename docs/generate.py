"""Write the reference pages that come from the code: `python -m docs.generate`; `--check` says which are stale."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from docs import asyncapi
from docs import limits as incoming
from docs.cases import BEHAVIOURS, marked_tests, without_test
from services.console.api.application import openapi_document
from services.console.settings import ConsoleSettings
from services.executor.settings import ExecutorSettings
from services.publisher.settings import PublisherSettings
from services.registry.settings import RegistrySettings
from shared.contracts.errors import CATALOGUE
from shared.contracts.events import EVENT_TYPES
from shared.contracts.names import PLATFORM
from shared.contracts.template import json_schema
from shared.messaging.access.permissions import SERVICES, enterprise_client, platform_service
from shared.security.principals import ALLOWED, Action, Role
from shared.security.principals.roles import READ_EVERYWHERE, SERVICE_ROLES
from shared.settings import BusSettings

DOCS: Final = Path(__file__).parent
REFERENCE: Final = DOCS / "reference"
NOTE: Final = "<!-- Written by `make docs` from the code; change it there. -->\n\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |\n" for line in lines)


def errors() -> str:
    rows = [
        (f"`{code}`", str(kind.status), kind.when, kind.next_step, "yes" if kind.retryable else "")
        for code, kind in CATALOGUE.items()
    ]
    return (
        "# Errors\n\n"
        + NOTE
        + "An error reply has `type` `urn:dibop:error:<code>`. *Safe to repeat* marks those that a "
        "caller may send again as they are.\n\n"
        + table(("code", "status", "when", "what to do", "safe to repeat"), rows)
    )


def settings() -> str:
    page = "# Settings\n\n" + NOTE + "Environment variables.\n"
    sections: Mapping[str, type[BaseSettings]] = {
        "Client and command line": BusSettings,
        "Registry": RegistrySettings,
        "Publisher": PublisherSettings,
        "Executor": ExecutorSettings,
        "Console": ConsoleSettings,
    }
    for title, model in sections.items():
        prefix = model.model_config.get("env_prefix", "")
        rows = [
            (
                f"`{prefix}{name}`".upper(),
                _default(field),
                field.description or "",
            )
            for name, field in model.model_fields.items()
        ]
        page += f"\n## {title}\n\n" + table(("variable", "default", "meaning"), rows)
    return page


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be set"
    value = field.get_default(call_default_factory=True, validated_data={})
    return "none" if value is None else f"`{value}`"


def roles() -> str:
    rows = [(action.value, *("yes" if role in ALLOWED[action] else "" for role in Role)) for action in Action]
    services, reading = (_listed(each) for each in (SERVICE_ROLES, READ_EVERYWHERE))
    return (
        "# Roles\n\n"
        + NOTE
        + "A role counts in the principal's own enterprise, which `platform` is not. `platform_admin` counts for "
        f"`platform`, and everywhere to {reading}. {services} are roles of the platform's own services: they count "
        "everywhere, in tokens of `platform` alone. Roles add up. How tokens name them: "
        "[principals.md](../principals.md).\n\n" + table(("action", *(f"`{role.value}`" for role in Role)), rows)
    )


def _listed(values: Iterable[Action | Role]) -> str:
    return " and ".join(f"`{value}`" if isinstance(value, Role) else value.value for value in sorted(values))


def nats_users() -> str:
    """Every user of the bus with all that it may do."""
    users = [
        *SERVICES.values(),
        platform_service("<service>", ["<source>"]),
        enterprise_client("<enterprise>", "<user>", consumers=["<consumer>"], platform_admin=True),
    ]
    page = (
        "# NATS users\n\n" + NOTE + "What is not listed is refused. `subject queue` is a subscription in that queue "
        "group alone. How users are made: [nats-users.md](../nats-users.md).\n"
    )
    for rights in users:
        told = [("publish", grant) for grant in rights.publish] + [("subscribe", grant) for grant in rights.subscribe]
        rows = [(kind, grant.why, "<br>".join(f"`{each}`" for each in grant.subjects)) for kind, grant in told]
        inboxes = ("subscribe", "its own inboxes", f"`{rights.inbox_prefix}.>`")
        page += f"\n## {rights.name.strip('<>')}\n\n{rights.who[0].upper()}{rights.who[1:]}.\n\n"
        page += table(("may", "what for", "subjects"), [*rows, inboxes])
    return page


def events() -> str:
    rows = [
        (f"`{noun}`", f"`{what}`", f"`evt.v1.{_told_to(noun)}.{noun}.<id>.{what}`")
        for noun, whats in EVENT_TYPES.items()
        for what in whats
    ]
    return "# Events\n\n" + NOTE + table(("noun", "what happened", "subject"), rows)


def _told_to(noun: str) -> str:
    return PLATFORM if noun == "enterprise" else "<enterprise>"


def cases() -> str:
    found = marked_tests()
    rows = [
        (str(number), behaviour, "<br>".join(f"`{test}`" for test in found.get(number, ())))
        for number, behaviour in BEHAVIOURS.items()
    ]
    return table(("case", "behaviour", "tests"), rows)


def resilience() -> str:
    """The page as it is written by hand, with its table of cases."""
    text = (DOCS / "resilience.md").read_text()
    return _CASES.sub(lambda match: f"{match[1]}\n{cases()}\n{match[2]}", text)


def limits() -> str:
    page = "# Limits\n\n" + NOTE + "What may come in, and what happens to more. Codes: [errors](errors.md).\n"
    for title, rows in incoming.sections().items():
        page += f"\n## {title}\n\n" + table(
            ("what", "at most", "beyond it"),
            [(row.what, row.limit, f"`{row.then}`" if row.then in CATALOGUE else row.then) for row in rows],
        )
    return page


def openapi() -> str:
    return json.dumps(openapi_document(), indent=2, ensure_ascii=False) + "\n"


def template_schema() -> str:
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


_CASES: Final = re.compile(r"(<!-- cases: begin[^\n]*-->\n).*(<!-- cases: end -->)", re.DOTALL)
PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "reference/asyncapi.yaml": asyncapi.text,
    "reference/errors.md": errors,
    "reference/events.md": events,
    "reference/nats-users.md": nats_users,
    "reference/limits.md": limits,
    "reference/openapi.json": openapi,
    "reference/roles.md": roles,
    "reference/settings.md": settings,
    "reference/template.schema.json": template_schema,
    "resilience.md": resilience,
}


def main(arguments: Sequence[str]) -> int:
    stale = [name for name, make in PAGES.items() if not _current(DOCS / name, make())]
    if "--check" in arguments:
        return _check(stale)
    REFERENCE.mkdir(exist_ok=True)
    for name in stale:
        (DOCS / name).write_text(PAGES[name]())
        print(f"wrote docs/{name}")
    return 0


def _check(stale: Sequence[str]) -> int:
    problems = [f"docs/{name} is not current: run `make docs`" for name in stale]
    untested = without_test(marked_tests())
    if untested:
        numbers = ", ".join(map(str, untested))
        problems.append(f"no test carries @pytest.mark.case({numbers}): mark the one that holds it, or write it")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def _current(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
