"""A request as bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.transport import HttpRequest
from services.executor.transport.wire import FRAMING, BadRequest, encode_request, split_url


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        ("https://a.test", "https://a.test", "/"),
        ("https://a.test/", "https://a.test", "/"),
        ("https://a.test?q=1", "https://a.test", "/?q=1"),
        ("HTTP://A.test:8080/x/y?q=%20&b=/#top", "HTTP://A.test:8080", "/x/y?q=%20&b=/"),
        ("http://[::1]:80/x", "http://[::1]:80", "/x"),
        ("http://bücher.test/", "http://bücher.test", "/"),
    ],
)
def test_a_url_is_cut_without_being_read_anew(url: str, origin: str, target: str) -> None:
    assert split_url(url) == (origin, target)


def test_a_request_is_written_in_the_order_it_was_given() -> None:
    request = HttpRequest("POST", "http://a.test/x", (("X-B", "2"), ("X-A", "1"), ("Accept", "a/b")), b"{}")
    assert encode_request(request, "a.test", "/x") == (
        b"POST /x HTTP/1.1\r\nHost: a.test\r\nX-B: 2\r\nX-A: 1\r\nAccept: a/b\r\n"
        b"Accept-Encoding: gzip, deflate\r\nUser-Agent: dibop-connectors\r\nContent-Length: 2\r\n\r\n{}"
    )


@pytest.mark.parametrize("name", sorted(FRAMING))
def test_framing_headers_are_the_transports_own(name: str) -> None:
    with pytest.raises(BadRequest, match="Leave it out"):
        encode_request(HttpRequest("GET", "http://a.test/", ((name.title(), "x"),)), "a.test", "/")


@given(name=st.text(max_size=20), value=st.text(max_size=50))
def test_no_header_makes_a_second_one(name: str, value: str) -> None:
    request = HttpRequest("GET", "http://a.test/", ((name, value),))
    plain = encode_request(HttpRequest("GET", "http://a.test/", (("x", "y"),)), "a.test", "/")
    try:
        message = encode_request(request, "a.test", "/")
    except BadRequest:
        return
    given_names = {"accept", "accept-encoding", "user-agent"}
    lines = plain.count(b"\r\n") - (name.lower() in given_names)
    assert message.count(b"\r\n") == message.count(b"\n") == message.count(b"\r") == lines
    assert b"\0" not in message


def test_the_refusal_names_the_header_and_keeps_its_value() -> None:
    request = HttpRequest("GET", "http://a.test/", (("X-Ok", "fine"), ("X-Bad", "secret\r\nvalue")))
    with pytest.raises(BadRequest, match="X-Bad") as caught:
        encode_request(request, "a.test", "/")
    assert "secret" not in str(caught.value)
