"""Addresses: base_url with its placeholders, and the origins that credentials are bound to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final
from urllib.parse import quote

import idna

from shared.contracts.errors import DibopError
from shared.contracts.template.model import Template

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
DNS_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)\Z", re.IGNORECASE)
DOT_SEGMENT: Final = re.compile(r"(?:\.|%2e){1,2}\Z", re.IGNORECASE)

_URL: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<rest>.*)\Z", re.IGNORECASE
)
_PATH: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*\Z")
_UNSEEN: Final = re.compile(r"[\x00-\x20\x7f\\\ud800-\udfff]")
_LOOKS_NUMERIC: Final = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)\Z", re.IGNORECASE)


class AddressError(ValueError):
    """An address that cannot be used: what is wrong, and what would be right."""

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(f"{problem} {mend}")
        self.problem = problem
        self.mend = mend


@dataclass(frozen=True, slots=True)
class Address:
    """A URL in parts. `host` is lower case, in ASCII and without brackets; it and `path` may hold placeholders."""

    scheme: str
    host: str
    port: int
    path: str
    rest: str

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{_bracketed(self.host)}:{self.port}"

    def __str__(self) -> str:
        port = "" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{_bracketed(self.host)}{port}{self.path}{self.rest}"


def parse_address(url: str) -> Address:
    """Read an http or https URL, which may hold placeholders. Raises AddressError."""
    if _UNSEEN.search(url):
        raise AddressError(
            "The URL holds a space, a backslash, a control character or half of a surrogate pair.", "Percent-encode it."
        )
    match = _URL.match(url)
    if match is None or match["scheme"].lower() not in DEFAULT_PORTS:
        raise AddressError("It is not an http or https URL.", "Write it whole, as https://api.example.com.")
    scheme, authority = match["scheme"].lower(), match["authority"]
    if "@" in authority:
        raise AddressError("The URL holds a user name or password.", "Credentials belong into credential_schema.")
    host, port = _split_port(authority)
    return Address(scheme, _host(host), _port(port, scheme), match["path"], match["rest"])


def parse_fixed_url(url: str) -> Address:
    """Read a URL that takes no placeholders. Raises AddressError."""
    if PLACEHOLDER.search(url):
        raise AddressError("The URL holds a placeholder, which base_url alone may.", "Write the URL whole.")
    return parse_address(url)


def parse_base_url(base_url: str) -> Address:
    """Read a base_url, with its placeholders. Raises AddressError for what `parse_address` lets pass."""
    address = parse_address(base_url)
    if address.rest:
        raise AddressError("base_url has a query or fragment.", "Make it a query parameter of the operations.")
    last_label = address.host.rpartition(".")[2]
    if PLACEHOLDER.search(last_label):
        raise AddressError(
            "The last part of the host is a placeholder, so that credentials could go to any host.",
            "Keep at least the domain fixed, as https://{tenant}.example.com.",
        )
    check_path(address.path)
    return address


def check_path(path: str) -> None:
    """Raise AddressError where a path, with its placeholders, could be read in more than one way."""
    literal = PLACEHOLDER.sub("", path)
    if "{" in literal or "}" in literal:
        raise AddressError("A brace has no partner.", "Write placeholders as {name}; a literal brace is %7B or %7D.")
    if "?" in literal or "#" in literal:
        raise AddressError("The path has a query or fragment.", "Make what follows `?` query parameters.")
    if not _PATH.match(literal):
        encoded = quote(literal, safe="/%{}:@!$&'()*+,;=~")
        raise AddressError("The path holds characters that a URL cannot carry.", f"Percent-encode them: {encoded[:80]}")
    if any(DOT_SEGMENT.match(segment) for segment in path.split("/")):
        raise AddressError("A segment of the path is '.' or '..'.", "Write the path that is meant, without dots.")


def fill_base_url(base_url: str, values: Mapping[str, str]) -> str:
    """base_url with each `{field}` filled as one DNS label or one path segment, and no slash at the end.

    Raises DibopError `invalid-parameters`, naming each field whose value is missing or does not fit.
    """
    try:
        address = parse_base_url(base_url)
    except AddressError as error:
        raise DibopError("invalid-template", f"base_url cannot be used. {error}") from error
    refused: list[dict[str, str]] = []
    host = _filled(address.host, values, _as_label, refused)
    path = _filled(address.path, values, _as_segment, refused)
    if not refused and not all(DNS_LABEL.match(label) for label in host.split(".")) and ":" not in host:
        refused.append({"name": "base_url", "problem": "the filled host is too long", "allowed": "63 a label"})
    if not refused and any(DOT_SEGMENT.match(segment) for segment in path.split("/")):
        refused.append({"name": "base_url", "problem": "a filled segment is '.' or '..'", "allowed": "a name"})
    if refused:
        names = ", ".join(entry["name"] for entry in refused)
        raise DibopError(
            "invalid-parameters",
            f"base_url {base_url!r} cannot be filled from the connection's values: {names}. "
            "Give each field a value that `errors` allows.",
            errors=refused,
        )
    return str(Address(address.scheme, host.lower(), address.port, path.rstrip("/"), ""))


def origin_of(url: str) -> str:
    """`scheme://host:port` of a URL: lower case, IDNA-encoded, the port always written, IPv6 in brackets.

    Raises DibopError `invalid-parameters` for what is no http or https URL, and for URLs with user info.
    """
    try:
        return parse_fixed_url(url).origin
    except AddressError as error:
        raise DibopError("invalid-parameters", f"The address has no origin. {error}") from error


def credential_origin(template: Template, values: Mapping[str, str]) -> str:
    """Where a connection's credentials go: the origin of token_url for oauth2, else of base_url.

    `values` are the connection's values that are not sensitive; defaults of the credential fields fill gaps.
    """
    filled = with_defaults(template, values)
    if template.auth_type != "oauth2":
        return origin_of(fill_base_url(template.base_url, filled))
    token_url = template.token_url or filled.get("token_url")
    if not token_url:
        raise DibopError(
            "invalid-parameters",
            "The connection has no token_url. Give the address of the token endpoint.",
            errors=[{"name": "token_url", "problem": "missing", "allowed": "an https URL"}],
        )
    return origin_of(token_url)


def with_defaults(template: Template, values: Mapping[str, str]) -> dict[str, str]:
    """`values` with the defaults of credential fields where they give nothing."""
    defaults = {name: field.default for name, field in template.credential_fields().items() if field.default}
    return defaults | {name: value for name, value in values.items() if value != ""}


def _split_port(authority: str) -> tuple[str, str | None]:
    if authority.startswith("["):
        host, bracket, port = authority.partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise AddressError("The IPv6 address has no closing bracket.", "Write it as [::1] or [::1]:8080.")
        return host + bracket, port[1:] if port else None
    host, colon, port = authority.partition(":")
    return host, port if colon else None


def _port(port: str | None, scheme: str) -> int:
    if port is None or port == "":
        return DEFAULT_PORTS[scheme]
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) < 65_536):
        raise AddressError("The port is not a number from 1 to 65535.", "Write a port, or leave it out.")
    return int(port)


def _host(host: str) -> str:
    if host.startswith("["):
        try:
            address = IPv6Address(host[1:-1])
        except AddressValueError:
            raise AddressError("The IPv6 address cannot be read.", "Write it as [2001:db8::1].") from None
        if address.scope_id:
            raise AddressError("The IPv6 address has a zone.", "Write it without `%` and what follows.")
        return address.compressed
    if _LOOKS_NUMERIC.match(host.rpartition(".")[2]):
        try:
            return str(IPv4Address(host))
        except AddressValueError:
            raise AddressError("The host is a number, but no IPv4 address.", "Write it as 192.0.2.1.") from None
    return ".".join(map(_label, host.split(".")))


def _label(label: str) -> str:
    literal = PLACEHOLDER.sub("x", label)
    if not literal.isascii():
        try:
            label = idna.encode(label, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise AddressError("The host name is not a valid international name.", "Check its spelling.") from None
        return label
    if not DNS_LABEL.match(literal):
        raise AddressError(
            "The host is missing, or is not a name.",
            "Write letters, digits and hyphens with dots between, as api.example.com.",
        )
    return label if "{" in label else label.lower()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _filled(text: str, values: Mapping[str, str], render: Callable[[str], str], refused: list[dict[str, str]]) -> str:
    def fill(match: re.Match[str]) -> str:
        try:
            return render(values[match[1]])
        except KeyError:
            refused.append({"name": match[1], "problem": "missing", "allowed": "a value, since base_url needs it"})
        except ValueError as error:
            refused.append({"name": match[1], "problem": "does not fit into base_url", "allowed": str(error)})
        return ""

    return PLACEHOLDER.sub(fill, text)


def _as_label(value: str) -> str:
    if not DNS_LABEL.match(value):
        raise ValueError("one DNS label: letters a-z, digits and hyphens, at most 63, no dots")
    return value


def _as_segment(value: str) -> str:
    if not value or DOT_SEGMENT.match(value):
        raise ValueError("one path segment: not empty, and neither '.' nor '..'")
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise ValueError("text without halves of surrogate pairs") from None
