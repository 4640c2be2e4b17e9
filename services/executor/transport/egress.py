"""Which addresses an external system may live at.

A template's author chooses the host, so a host may not lead into the operator's own network. Addresses of the
special-purpose registries (RFC 6890, IANA) are refused unless an operator names host and port.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, Self

from shared.contracts.template.address import parse_fixed_url

Address = IPv4Address | IPv6Address

# The first network that holds an address names it; narrower ones stand first.
_SPECIAL_V4: Final = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("169.254.169.254/32", "a cloud metadata address"),
        ("100.100.100.200/32", "a cloud metadata address"),
        ("168.63.129.16/32", "a cloud metadata address"),
        ("192.0.0.192/32", "a cloud metadata address"),
        ("0.0.0.0/8", "an unspecified address"),
        ("10.0.0.0/8", "a private address"),
        ("100.64.0.0/10", "a carrier-grade NAT address"),
        ("127.0.0.0/8", "a loopback address"),
        ("169.254.0.0/16", "a link-local address"),
        ("172.16.0.0/12", "a private address"),
        ("192.0.0.0/24", "a reserved address"),
        ("192.0.2.0/24", "a documentation address"),
        ("192.88.99.0/24", "a reserved address"),
        ("192.168.0.0/16", "a private address"),
        ("198.18.0.0/15", "a benchmarking address"),
        ("198.51.100.0/24", "a documentation address"),
        ("203.0.113.0/24", "a documentation address"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a reserved address"),
    )
)
_SPECIAL_V6: Final = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("fd00:ec2::254/128", "a cloud metadata address"),
        ("fd20:ce::254/128", "a cloud metadata address"),
        ("::1/128", "a loopback address"),
        ("::/128", "an unspecified address"),
        ("64:ff9b:1::/48", "a private address"),
        ("2001::/23", "a reserved address"),
        ("2001:db8::/32", "a documentation address"),
        ("3fff::/20", "a documentation address"),
        ("fc00::/7", "a private address"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a private address"),
        ("ff00::/8", "a multicast address"),
    )
)
_GLOBAL_V6: Final = IPv6Network("2000::/3")
# Networks whose addresses carry an IPv4 address, and how many bits stand after it: IPv4-mapped, NAT64, 6to4.
_EMBEDDING_V6: Final = (
    (IPv6Network("::ffff:0:0/96"), 0),
    (IPv6Network("64:ff9b::/96"), 0),
    (IPv6Network("2002::/16"), 80),
)
# The second half of an address whose last 32 bits are an IPv4 address at the end of a tunnel (ISATAP, RFC 5214).
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})


class EgressDenied(Exception):  # noqa: N818 - the refusal's own name
    """The address is not allowed. The text is a whole sentence for the caller."""


def special_kind(address: Address) -> str | None:
    """Say what keeps `address` from being used, such as "a private address"; None for a public one."""
    if isinstance(address, IPv4Address):
        return next((kind for network, kind in _SPECIAL_V4 if address in network), None)
    for network, shift in _EMBEDDING_V6:
        if address in network:
            return special_kind(IPv4Address((int(address) >> shift) & 0xFFFFFFFF))
    for network, kind in _SPECIAL_V6:
        if address in network:
            return kind
    if address not in _GLOBAL_V6:
        return "a reserved address"
    if address.scope_id is not None:
        return "an address with a zone"
    number = int(address)
    return special_kind(IPv4Address(number & 0xFFFFFFFF)) if number >> 32 & 0xFFFFFFFF in _ISATAP else None


def literal_address(host: str) -> Address | None:
    """Read `host` as an address in any form that an operating system would: 127.1, 0x7f.1, 2130706433."""
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host.rstrip(".")))
    except (OSError, ValueError):
        return None


def normal_host(host: str) -> str:
    """The one spelling of a host: lower case, IDNA, no trailing dot, addresses in their canonical form.

    Raises ValueError where `host` cannot be a host.
    """
    bare = host.rstrip(".")
    address = literal_address(bare)
    if isinstance(address, IPv4Address):
        return str(address)
    return parse_fixed_url(f"http://{bare}").host


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """The operator's allow-list: pairs of normal host and port that may be special addresses."""

    allowed: frozenset[tuple[str, int]] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `host:port,host:port`; IPv6 addresses stand in brackets. Raises ValueError naming the entry."""
        return cls(frozenset(_parse_entry(entry.strip()) for entry in text.split(",") if entry.strip()))

    def names(self, host: str, port: int, addresses: Iterable[Address] = ()) -> bool:
        """Say whether the operator has named `host`, or any of the `addresses` that it leads to, with `port`."""
        return (host, port) in self.allowed or any((str(address), port) in self.allowed for address in addresses)

    def check(self, host: str, port: int, addresses: Iterable[Address]) -> None:
        """Raise EgressDenied unless every one of `addresses`, to which `host` leads, may be connected to."""
        if (host, port) in self.allowed:
            return
        for address in addresses:
            kind = special_kind(address)
            if kind is not None and (str(address), port) not in self.allowed:
                raise EgressDenied(
                    f"{host} leads to {kind}, which is not allowed. Use a public address, "
                    f"or have an operator add {joined(host, port)} to DIBOP_EGRESS_ALLOW."
                )

    def check_literal(self, host: str, port: int) -> None:
        """Check a host that is itself an address; do nothing for a name.

        Only the canonical spelling of an address is accepted: others are read differently by different parts
        of a system.
        """
        address = literal_address(host)
        if address is None:
            return
        if str(address) != host.strip("[]"):
            raise EgressDenied(
                f"{host} is an address in an unusual form. Write it as {address}, or use the system's name."
            )
        self.check(str(address), port, (address,))


def _parse_entry(entry: str) -> tuple[str, int]:
    host, colon, port = entry.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{entry!r} is not host:port; write for example 'intranet.example:8080'.")
    if (":" in host) != bracketed or "/" in host or "@" in host or "*" in host:
        raise ValueError(f"{entry!r} does not name one host; write a name, an IPv4 address or [IPv6].")
    try:
        return normal_host(host), int(port)
    except ValueError as error:
        raise ValueError(f"{entry!r} does not name a host: {error}.") from None


def joined(host: str, port: int) -> str:
    """`host:port`, IPv6 addresses in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
