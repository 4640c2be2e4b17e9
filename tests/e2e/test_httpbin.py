"""Every operation of examples/httpbin.yaml over NATS, beside what plain httpx gets from the same server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote_plus

import httpx
import pytest
import yaml

from tests.support.stack import Stack

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
USER: Final = {"username": "user", "password": "passwd"}

PLAIN: Final[dict[str, dict[str, Any]]] = {
    "get": {
        "method": "GET",
        "url": "/get",
        "params": {
            "text": "Grüße & more",
            "number": "1.5",
            "count": "10",
            "flag": "true",
            "tag": ["red", "green"],
            "order": "asc",
        },
    },
    "post_json": {
        "method": "POST",
        "url": "/post",
        "json": {
            "title": "Invoice",
            "amount": 12.5,
            "active": True,
            "labels": ["a", "b"],
            "details": {"currency": "EUR"},
        },
    },
    "post_form": {"method": "POST", "url": "/post", "data": {"name": "Zoë", "age": "42", "color": ["red", "blue"]}},
    "post_multipart": {
        "method": "POST",
        "url": "/post",
        "files": {"name": (None, "Zoë"), "note": (None, "two lines")},
    },
    "put": {"method": "PUT", "url": "/put", "params": {"id": "7"}, "json": {"title": "New title"}},
    "patch": {"method": "PATCH", "url": "/patch", "json": {"archived": True}},
    "delete": {"method": "DELETE", "url": "/delete", "params": {"id": "7"}},
    "send_anything": {"method": "POST", "url": "/anything/spring%20sale", "json": [1, "two", {"three": 3}]},
    "show_headers": {"method": "GET", "url": "/headers", "headers": {"X-Trace-Label": "example", "X-Page-Size": "50"}},
    "set_response_headers": {"method": "GET", "url": "/response-headers", "params": {"freeform": "hello"}},
    "basic_auth": {"method": "GET", "url": "/basic-auth/user/passwd"},
    "status": {"method": "GET", "url": "/status/204"},
    "delay": {"method": "GET", "url": "/delay/0.2"},
    "gzip": {"method": "GET", "url": "/gzip"},
    "deflate": {"method": "GET", "url": "/deflate"},
    "redirect": {"method": "GET", "url": "/redirect/2"},
    "bytes": {"method": "GET", "url": "/bytes/64", "params": {"seed": "1"}},
    "utf8": {"method": "GET", "url": "/encoding/utf8"},
    "xml": {"method": "GET", "url": "/xml"},
    "json": {"method": "GET", "url": "/json"},
    "uuid": {"method": "GET", "url": "/uuid"},
}
"""The request that each operation's sample stands for, written down by hand."""

CLIENT_HEADERS: Final = frozenset(
    {
        "Accept",
        "Accept-Encoding",
        "Connection",
        "Content-Length",
        "Content-Type",
        "Host",
        "Idempotency-Key",
        "User-Agent",
    }
)
"""Request headers in which any two clients differ."""


def example(name: str, base_url: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((EXAMPLES / name).read_text())
    return {**document, "base_url": base_url}


@pytest.fixture(scope="module")
def httpbin(stack: Stack, httpbin_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    document = example("httpbin.yaml", httpbin_url)
    stack.publish(document, directory=tmp_path_factory.mktemp("httpbin-template"), credentials=USER)
    return document


@pytest.fixture
async def plain(httpbin_url: str) -> AsyncIterator[httpx.AsyncClient]:
    auth = httpx.BasicAuth(USER["username"], USER["password"])
    async with httpx.AsyncClient(base_url=httpbin_url, auth=auth, follow_redirects=True, timeout=30) as client:
        yield client


def test_every_operation_of_the_example_is_compared(httpbin: dict[str, Any]) -> None:
    assert {operation["operation"] for operation in httpbin["operations"]} == set(PLAIN)
    assert len(PLAIN) >= 12


@pytest.mark.parametrize("name", list(PLAIN))
async def test_an_operation_gives_what_httpx_gets(
    stack: Stack, httpbin: dict[str, Any], plain: httpx.AsyncClient, name: str
) -> None:
    operation = next(o for o in httpbin["operations"] if o["operation"] == name)
    expected = await plain.request(**PLAIN[name])

    async with stack.client() as client:
        result = await client.execute("httpbin", name, parameters=operation.get("sample", {}))

    assert result.status_code == expected.status_code
    assert result.headers.get("content-type") == expected.headers.get("content-type")
    assert comparable(name, result.response) == comparable(name, content(expected))
    assert result.schema_valid is (True if expected.content else None)


async def test_statuses_of_the_external_system_are_results(stack: Stack, httpbin: dict[str, Any]) -> None:
    async with stack.client() as client:
        for code in (201, 304, 400, 404, 418, 429, 500, 503):
            assert (await client.execute("httpbin", "status", code=code)).status_code == code


async def test_wrong_credentials_are_the_external_systems_answer(stack: Stack, httpbin: dict[str, Any]) -> None:
    async with stack.client() as client:
        result = await client.execute("httpbin", "basic_auth", user="user", passwd="another")

    assert (result.status_code, result.response) == (401, None)


async def test_a_bearer_token_arrives_as_it_was_entered(stack: Stack, httpbin_url: str, tmp_path: Path) -> None:
    token = "a-token-of-some-length"
    stack.publish(example("httpbin-bearer.yaml", httpbin_url), directory=tmp_path, credentials={"token": token})

    async with stack.client() as client:
        result = await client.execute("httpbin-bearer", "bearer")

    assert (result.status_code, result.response["authenticated"], result.schema_valid) == (200, True, True)
    shown = stack.run("connection", "list").stdout
    assert token not in shown
    assert token[-4:] in shown
    kept = [path for path in stack.home.rglob("*") if path.is_file() and token.encode() in path.read_bytes()]
    assert kept == [], "no store and no log holds the token"


def content(response: httpx.Response) -> Any:
    """The body as an execution gives it: a JSON value, a text, bytes, or None."""
    kind = response.headers.get("content-type", "")
    if not response.content:
        return None
    if kind == "application/json":
        return response.json()
    return response.text if "text" in kind or "xml" in kind else response.content


def comparable(name: str, body: Any) -> Any:
    """A body without what differs from one request to the next: client headers, boundaries, random values."""
    if name == "uuid":
        return sorted(body)
    if not isinstance(body, dict):
        return body
    kept = {key: value for key, value in body.items() if key not in {"data", "headers"}}
    if "url" in body:
        kept["url"] = unquote_plus(body["url"])  # a space is %20 to one client and + to another
    if "data" in body:
        kept["data"] = bool(body["data"])
    if "headers" in body:
        kept["headers"] = {key: value for key, value in body["headers"].items() if key not in CLIENT_HEADERS}
    return kept
