"""Whole stacks as processes, and the upstreams they call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.servers import fault_server, httpbin_server
from tests.support.stack import Stack


@pytest.fixture(scope="session")
def httpbin_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with httpbin_server(tmp_path_factory.mktemp("httpbin")) as url:
        yield url


@pytest.fixture(scope="session")
def fault_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The fault-injecting upstream in a process of its own."""
    with fault_server(tmp_path_factory.mktemp("faults")) as url:
        yield url


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, httpbin_url: str, fault_url: str) -> Iterator[Stack]:
    """One stack for the tests that leave it whole; its executors may call httpbin and the fault server."""
    shared = Stack(tmp_path_factory.mktemp("stack"), environment=allowing(httpbin_url, fault_url)).up()
    yield shared
    shared.down()


@pytest.fixture
def own_stack(tmp_path: Path, httpbin_url: str, fault_url: str) -> Iterator[Callable[..., Stack]]:
    """Makes stacks that the test may break."""
    made: list[Stack] = []

    def make(**arguments: int) -> Stack:
        made.append(Stack(tmp_path / f"home-{len(made)}", environment=allowing(httpbin_url, fault_url), **arguments))
        return made[-1].up()

    yield make
    for one in made:
        one.down()


def allowing(*urls: str) -> dict[str, str]:
    """The environment that lets executors call these loopback upstreams."""
    return {"DIBOP_EGRESS_ALLOW": ",".join(url.removeprefix("http://") for url in urls)}
