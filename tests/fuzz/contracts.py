"""Templates, commands, names and addresses: what comes in before anything is done."""

from __future__ import annotations

import base64
import inspect
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from hypothesis import strategies as st
from pydantic import BaseModel

from services.executor.domain.compiling import compile_document, compile_plan
from shared.contracts import commands
from shared.contracts.errors import CATALOGUE, DibopError
from shared.contracts.icons import IconError, clean_icon
from shared.contracts.names import did_you_mean, is_token
from shared.contracts.subjects import parse
from shared.contracts.template import (
    Report,
    SourceError,
    canonical_json,
    check,
    check_part,
    fill_base_url,
    operation_digests,
    origin_of,
    parse_source,
    slugify,
)
from shared.contracts.template.data_urls import MAX_ICON_BYTES
from shared.messaging.replies import problem_bytes
from shared.messaging.reply_guard import reply_allowed
from shared.messaging.validation import read_body
from shared.security.redaction import hide, redacted
from tests.fuzz.driver import Target
from tests.fuzz.inputs import any_json, any_text, as_bytes, changed, mutated, nasty_text
from tests.unit.contracts.icons.images import png

EXAMPLES: Final = [path.read_bytes() for path in sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))]
DOCUMENTS: Final = [parse_source(text).document for text in EXAMPLES]
SCHEMA: Final = {
    "type": "object",
    "$defs": {"a": {"anyOf": [{"type": "string", "pattern": "^[a-z]+$"}, {"$ref": "#/$defs/a"}]}},
    "properties": {"x": {"$ref": "#/$defs/a"}, "y": {"items": {"$ref": "#"}, "prefixItems": [{"const": 1}]}},
    "patternProperties": {"^z": {"$dynamicRef": "#n"}},
    "$dynamicAnchor": "n",
    "if": {"required": ["x"]},
    "then": {"unevaluatedProperties": False},
}
_XMLNS: Final = 'xmlns="http://www.w3.org/2000/svg"'
ICONS: Final = [
    b"data:image/svg+xml," + quote(drawing).encode()
    for drawing in (
        f'<svg {_XMLNS} viewBox="0 0 9 9"><path d="M0 0L9 9" fill="url(#g)" onload="x()"/></svg>',
        f'<svg {_XMLNS}><script>x()</script><use href="#a"/><g id="a"><a href="javascript:x"/></g></svg>',
        f'<!DOCTYPE svg [<!ENTITY a "b">]><svg {_XMLNS}><text>&a;</text></svg>',
    )
]
ICONS.append(f"data:image/png;base64,{base64.b64encode(png(8, 8)).decode()}".encode())
COMMANDS: Final = [
    model
    for _, model in inspect.getmembers(commands, inspect.isclass)
    if issubclass(model, BaseModel) and model.__module__.startswith("shared.contracts.commands")
]
SUBJECTS: Final = [
    b"exec.v1.acme.weather.now",
    b"registry.v1.platform.draft.save",
    b"_INBOX.acme.x.y",
    b"_INBOX.svc.registry.z",
    b"$JS.API.CONSUMER.CREATE.X",
]
URLS: Final = [
    b"https://api.example.com/v1",
    b"http://{tenant}.example.com:8080/a/{x}",
    b"https://[2001:db8::1]:443/",
    b"https://user:pw@host/",
    b"http://127.0.0.1/",
    "https://bücher.example/ä".encode(),
]


def only_the_catalogue(error: DibopError) -> None:
    """An error that people can be told: its code is known, its sentences are whole, its reply is JSON of any size."""
    assert error.code in CATALOGUE
    assert error.detail
    assert len(error.detail) < 5000
    body, headers = problem_bytes(error, "r")
    assert json.loads(body)["status"] == error.status
    assert not any(set("\r\n") & set(value) for value in headers.values())


def template_text(data: bytes) -> None:
    try:
        source = parse_source(data)
    except SourceError as error:
        assert error.problems
        return
    _document(source.document, check(source.document, position=source.position))


def template_document(document: Any) -> None:
    _document(document, check(document))


def _document(document: Any, report: Report) -> None:
    assert (report.template is None) == bool(report.errors)
    for problem in [*report.errors, *report.warnings]:
        assert problem.problem
        assert problem.mend
        assert len(str(problem)) < 4000
    if report.template is None:
        return
    stored = canonical_json(document)
    assert set(operation_digests(report.template)) == set(compile_plan(report.template).operations)
    assert compile_document(stored).slug == report.template.slug


def schema_document(schema: Any) -> None:
    check_part("response_schema", schema)


def icon(data: bytes) -> None:
    """A clean icon is small, stays as it is when it is cleaned again, and holds nothing that acts."""
    try:
        clean = clean_icon(data.decode("latin-1"))
    except IconError as error:
        assert error.problem
        assert error.mend
        return
    assert clean_icon(clean) == clean
    assert len(clean) <= 2 * MAX_ICON_BYTES
    if clean.startswith("data:image/svg"):
        _Drawing().feed(base64.b64decode(clean.partition(",")[2]).decode())


class _Drawing(HTMLParser):
    """Raises for what is more than a drawing."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"a", "script", "style", "foreignobject", "image", "iframe", "animate", "set"}
        for name, value in attrs:
            assert not name.startswith("on")
            assert "href" not in name or (value or "").startswith("#")
            assert not re.search(r"url\(\s*[^#\s]", value or "", re.IGNORECASE) or name == "id"

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(f"a declaration is left: {decl}")


def command_body(given: tuple[type[BaseModel], bytes]) -> None:
    model, body = given
    try:
        read_body(body, model, max_bytes=100_000)
    except DibopError as error:
        assert error.code == "invalid-request"
        only_the_catalogue(error)


def subject(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    reply_allowed("acme", text)
    try:
        address = parse(text)
    except DibopError as error:
        assert error.code == "invalid-request"
        return
    assert is_token(address.enterprise)
    assert f"{address.plane}.v1.{address.enterprise}.{address.first}.{address.second}" == text


def reply_subject(reply: str) -> None:
    """Nothing but inboxes is answered."""
    if reply_allowed("acme", reply):
        assert reply.startswith(("_INBOX.acme.", "_INBOX.svc.", "_R_."))


def address(given: tuple[bytes, dict[str, str]]) -> None:
    data, values = given
    url = data.decode("utf-8", "surrogateescape")
    reads: tuple[Callable[[], str], ...] = (lambda: origin_of(url), lambda: fill_base_url(url, values))
    for read in reads:
        try:
            found = read()
        except DibopError as error:
            assert error.code in {"invalid-parameters", "invalid-template"}
            continue
        assert found.isascii()
        assert found.isprintable()
        assert found.startswith(("http://", "https://"))
        assert "@" not in found.split("/")[2]
        origin_of(found)


def names(given: tuple[str, list[str]]) -> None:
    name, known = given
    assert did_you_mean(name, known, "thing")
    slug = slugify(name)
    assert not slug or check({"name": "x", "slug": slug, "base_url": "https://a.example", "auth_type": "none"}).ok


def shown(given: tuple[Any, list[str]]) -> None:
    value, secrets = given
    found = json.dumps(redacted(value, secrets=secrets), default=str)
    for secret in secrets:
        if len(secret) >= 8 and secret.isalnum() and secret.isascii():
            assert secret not in found
            assert secret not in hide(f"x{secret}y", secrets)


TARGETS: Final = (
    Target("template text", mutated(EXAMPLES), template_text),
    Target("template document", changed(DOCUMENTS), template_document),
    Target("icon", mutated(ICONS), icon),
    Target("schema", changed([SCHEMA]), schema_document),
    Target(
        "command body",
        st.tuples(
            st.sampled_from(COMMANDS),
            mutated(as_bytes([{"slug": "a", "connector": "b", "id": "c", "values": {"x": "y"}, "limit": 1}]))
            | any_json.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
        ),
        command_body,
    ),
    Target("subject", mutated(SUBJECTS), subject),
    Target("reply subject", mutated(SUBJECTS).map(lambda data: data.decode("latin-1")), reply_subject),
    Target("address", st.tuples(mutated(URLS), st.dictionaries(st.sampled_from(["tenant", "x"]), nasty_text)), address),
    Target("names", st.tuples(nasty_text, st.lists(any_text, max_size=5)), names),
    Target("what is shown", st.tuples(any_json, st.lists(any_text | st.just("hunter2000"), max_size=3)), shown),
)
