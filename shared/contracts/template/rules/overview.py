"""Rules about who the external system is: addresses, icon, slug."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from shared.contracts.template.address import PLACEHOLDER, AddressError, parse_base_url, parse_fixed_url
from shared.contracts.template.data_urls import IconError, is_data_url, read_image
from shared.contracts.template.node import Node
from shared.contracts.template.problems import Problem, shown
from shared.contracts.template.rules.auth import sensitive_names, written_fields
from shared.contracts.template.slugs import slugify

_FILE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,126}\.(?:png|svg)\Z", re.IGNORECASE)


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
    problem = _data_url_problem(icon) if is_data_url(icon) else _file_name_problem(icon)
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
    try:
        read_image(icon)
    except IconError as error:
        return error.problem, error.mend
    return None
