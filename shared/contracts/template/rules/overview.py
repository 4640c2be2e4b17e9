"""Rules about who the external system is: addresses, icon, slug."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

from shared.contracts.template.address import PLACEHOLDER, AddressError, parse_base_url, parse_fixed_url
from shared.contracts.template.node import Node
from shared.contracts.template.problems import Problem, one_of, shown
from shared.contracts.template.rules.auth import sensitive_names, written_fields
from shared.contracts.template.slugs import slugify

MAX_ICON_BYTES: Final = 256 * 1024
PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_DATA_URL: Final = re.compile(
    r"data:(?P<type>[^;,]*)(?P<parameters>(?:;[^;,]*)*),(?P<data>.*)\Z", re.DOTALL | re.IGNORECASE
)
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,126}\.(?:png|svg)\Z", re.IGNORECASE)
_SVG_START: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<svg[\s>/]", re.DOTALL)


def slug_can_be_made(document: Node) -> Iterator[Problem]:
    name = document.text("name")
    if name and not document.has("slug") and not slugify(name):
        yield Problem(
            document.at("name"),
            f"No slug can be made from {shown(name)}.",
            "Add `slug`: a letter a-z, then at most 62 of a-z, 0-9 and '-'.",
        )


def base_url_is_usable(document: Node) -> Iterator[Problem]:
    base_url = document.text("base_url")
    if base_url:
        try:
            parse_base_url(base_url)
        except AddressError as error:
            yield Problem(document.at("base_url"), error.problem, error.mend)


def base_url_placeholders_are_fields(document: Node) -> Iterator[Problem]:
    fields = written_fields(document)
    if fields is None:
        return
    path = document.at("base_url")
    for name in dict.fromkeys(PLACEHOLDER.findall(document.text("base_url") or "")):
        if name not in fields:
            known = f" There is: {', '.join(fields)}." if fields else ""
            yield Problem(
                path,
                f"{{{name}}} is not a credential field.{known}",
                f"Add `{name}` to credential_schema, not sensitive, or take the placeholder out.",
            )
        elif name in sensitive_names(document):
            yield Problem(
                path,
                f"{{{name}}} is a sensitive credential field, and addresses are not secret.",
                "Use a field that is not sensitive.",
            )


def documentation_url_is_usable(document: Node) -> Iterator[Problem]:
    url = document.text("documentation_url")
    if url:
        try:
            parse_fixed_url(url)
        except AddressError as error:
            yield Problem(document.at("documentation_url"), error.problem, error.mend)


def icon_is_an_image(document: Node) -> Iterator[Problem]:
    icon = document.text("icon")
    if icon is None:
        return
    problem = _data_url_problem(icon) if icon[:5].lower() == "data:" else _file_name_problem(icon)
    if problem:
        yield Problem(document.at("icon"), *problem)


def plain_http(document: Node) -> Iterator[Problem]:
    if (document.text("base_url") or "").lower().startswith("http://"):
        yield Problem(
            document.at("base_url"),
            "base_url is plain http: credentials and data travel readable.",
            "Use https where the system offers it.",
        )


def _file_name_problem(icon: str) -> tuple[str, str] | None:
    if _FILE_NAME.match(icon):
        return None
    return (
        f"{shown(icon)} is neither a data: URL nor the name of a .png or .svg file.",
        "Put the file beside the template and write its name alone, as logo.svg.",
    )


def _data_url_problem(icon: str) -> tuple[str, str] | None:
    match = _DATA_URL.match(icon)
    kinds = {"image/png": _is_png, "image/svg+xml": _is_svg}
    if match is None or match["type"].lower() not in kinds:
        return "The icon is not a PNG or SVG image.", f"Use data:{one_of(sorted(kinds))};base64,..."
    try:
        if match["parameters"].lower().endswith(";base64"):
            image = base64.b64decode("".join(match["data"].split()), validate=True)
        else:
            image = unquote_to_bytes(match["data"])
    except (binascii.Error, ValueError):
        return "The icon's base64 is broken.", "Encode the file again."
    if len(image) > MAX_ICON_BYTES:
        return f"The icon is {len(image):,} bytes large.", f"Make it at most {MAX_ICON_BYTES:,} bytes; 64x64 is enough."
    if not kinds[match["type"].lower()](image):
        return f"The icon is not what it says: {match['type'].lower()}.", "Correct the type, or encode the right file."
    return None


def _is_png(image: bytes) -> bool:
    return image.startswith(PNG_SIGNATURE)


def _is_svg(image: bytes) -> bool:
    return _SVG_START.match(image[:65_536]) is not None
