"""Which addresses may be connected to."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from services.executor.transport.egress import (
    EgressDenied,
    EgressPolicy,
    literal_address,
    normal_host,
    special_kind,
)

SPECIAL = [
    ("0.0.0.0", "unspecified"),
    ("0.1.2.3", "unspecified"),
    ("10.0.0.1", "private"),
    ("10.255.255.255", "private"),
    ("100.64.0.1", "carrier-grade NAT"),
    ("100.127.255.255", "carrier-grade NAT"),
    ("100.100.100.200", "metadata"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("168.63.129.16", "metadata"),
    ("169.254.0.1", "link-local"),
    ("169.254.169.254", "metadata"),
    ("169.254.170.2", "link-local"),
    ("172.16.0.1", "private"),
    ("172.31.255.255", "private"),
    ("192.0.0.1", "reserved"),
    ("192.0.0.192", "metadata"),
    ("192.0.2.1", "documentation"),
    ("192.88.99.1", "reserved"),
    ("192.168.0.1", "private"),
    ("192.168.255.255", "private"),
    ("198.18.0.1", "benchmarking"),
    ("198.19.255.255", "benchmarking"),
    ("198.51.100.1", "documentation"),
    ("203.0.113.1", "documentation"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.255", "multicast"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.255", "reserved"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("::7f00:1", "reserved"),
    ("::ffff:127.0.0.1", "loopback"),
    ("::ffff:10.0.0.1", "private"),
    ("::ffff:169.254.169.254", "metadata"),
    ("::ffff:0:127.0.0.1", "reserved"),
    ("64:ff9b::127.0.0.1", "loopback"),
    ("64:ff9b::10.0.0.1", "private"),
    ("64:ff9b::169.254.169.254", "metadata"),
    ("64:ff9b:1::1", "private"),
    ("100::1", "reserved"),
    ("2001::1", "reserved"),
    ("2001:2::1", "reserved"),
    ("2001:20::1", "reserved"),
    ("2001:db8::1", "documentation"),
    ("2002:7f00:1::", "loopback"),
    ("2002:a00:1::1", "private"),
    ("2002:a9fe:a9fe::", "metadata"),
    ("3fff::1", "documentation"),
    ("4000::1", "reserved"),
    ("5f00::1", "reserved"),
    ("fc00::1", "private"),
    ("fd00:ec2::254", "metadata"),
    ("fd12:3456::1", "private"),
    ("fe80::1", "link-local"),
    ("fe80::1%eth0", "link-local"),
    ("fec0::1", "private"),
    ("ff02::1", "multicast"),
    ("ff0e::1", "multicast"),
    ("2620:0:2d0::5efe:10.0.0.1", "private"),
    ("2620:0:2d0::200:5efe:127.0.0.1", "loopback"),
    ("2606:4700::1111%eth0", "zone"),
]

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "192.169.0.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:801::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
    "2620:0:2d0::5efe:8.8.8.8",
]

SPELLINGS = [
    ("127.0.0.1", "127.0.0.1"),
    ("127.1", "127.0.0.1"),
    ("127.0.1", "127.0.0.1"),
    ("2130706433", "127.0.0.1"),
    ("0177.0.0.1", "127.0.0.1"),
    ("0x7f.0.0.1", "127.0.0.1"),
    ("0x7f.1", "127.0.0.1"),
    ("0x7f000001", "127.0.0.1"),
    ("017700000001", "127.0.0.1"),
    ("127.0.0.1.", "127.0.0.1"),
    ("0", "0.0.0.0"),
    ("2852039166", "169.254.169.254"),
    ("0xa9fea9fe", "169.254.169.254"),
    ("[::1]", "::1"),
    ("0:0:0:0:0:0:0:1", "::1"),
    ("[::FFFF:127.0.0.1]", "::ffff:7f00:1"),
]


@pytest.mark.parametrize(("text", "kind"), SPECIAL)
def test_a_special_address_is_refused_and_its_kind_named(text: str, kind: str) -> None:
    address = ip_address(text)
    assert kind in (special_kind(address) or "")
    with pytest.raises(EgressDenied, match=r"api\.test leads to an? .* DIBOP_EGRESS_ALLOW"):
        EgressPolicy().check("api.test", 443, [address])


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_allowed(text: str) -> None:
    EgressPolicy().check("api.test", 443, [ip_address(text)])


@pytest.mark.parametrize(("host", "address"), SPELLINGS)
def test_every_spelling_of_an_address_is_seen_as_one(host: str, address: str) -> None:
    assert literal_address(host) == ip_address(address)
    with pytest.raises(EgressDenied):
        EgressPolicy().check_literal(host, 80)


@pytest.mark.parametrize("host", ["api.test", "127.0.0.1.nip.io", "1.2.3.4.5", "localhost", "256.256.256.256", "x1"])
def test_a_name_is_not_taken_for_an_address(host: str) -> None:
    assert literal_address(host) is None
    EgressPolicy().check_literal(host, 80)


def test_an_allowed_address_must_still_be_written_canonically() -> None:
    policy = EgressPolicy.parse("127.0.0.1:80")
    policy.check_literal("127.0.0.1", 80)
    with pytest.raises(EgressDenied, match=r"Write it as 127\.0\.0\.1"):
        policy.check_literal("2130706433", 80)


def test_one_special_address_among_public_ones_is_enough_to_refuse() -> None:
    with pytest.raises(EgressDenied):
        EgressPolicy().check("api.test", 443, [ip_address("8.8.8.8"), ip_address("10.0.0.1")])


@pytest.mark.parametrize(
    ("allow", "host", "port", "address"),
    [
        ("intranet.test:8080", "intranet.test", 8080, "10.1.2.3"),
        (" Intranet.Test.:8080 , other:1", "intranet.test", 8080, "10.1.2.3"),
        ("bücher.test:80", "xn--bcher-kva.test", 80, "10.1.2.3"),
        ("10.1.2.3:8080", "intranet.test", 8080, "10.1.2.3"),
        ("[::1]:8080", "::1", 8080, "::1"),
        ("[0:0::1]:8080", "::1", 8080, "::1"),
    ],
)
def test_the_allow_list_names_a_host_or_an_address_with_its_port(
    allow: str, host: str, port: int, address: str
) -> None:
    policy = EgressPolicy.parse(allow)
    policy.check(host, port, [ip_address(address)])
    with pytest.raises(EgressDenied):
        policy.check(host, port + 1, [ip_address(address)])
    with pytest.raises(EgressDenied):
        policy.check("sub." + host, port, [ip_address("10.9.9.9")])


def test_an_empty_allow_list_allows_nothing_special() -> None:
    assert EgressPolicy.parse(" , ").allowed == frozenset()


@pytest.mark.parametrize(
    "entry",
    [
        "localhost",
        "localhost:",
        ":80",
        "localhost:0",
        "localhost:65536",
        "localhost:http",
        "::1:80",
        "10.0.0.0/8:80",
        "user@host:80",
        "*.corp:80",
        "http://host:80",
        "[host]:80:",
        "[fe80::1%eth0]:80",
        "[::1:80",
        "host%2e:80",
        "host name:80",
    ],
)
def test_a_malformed_entry_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match=r"does not name|is not host:port") as caught:
        EgressPolicy.parse(f"good.test:443,{entry}")
    assert repr(entry) in str(caught.value)


@pytest.mark.parametrize(
    ("host", "normal"),
    [("API.Test.", "api.test"), ("[::1]", "::1"), ("127.1", "127.0.0.1"), ("Bücher.test", "xn--bcher-kva.test")],
)
def test_a_host_has_one_spelling(host: str, normal: str) -> None:
    assert normal_host(host) == normal
