"""Whatever a request holds: one clear reply, and the worker lives on."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from services.executor.app import Executor
from shared.contracts import subjects
from shared.contracts.errors import DibopError
from tests.integration.executor.world import Bus, get, query, read
from tests.support.fault_server import FaultServer
from tests.support.polling import eventually

RUN = get(
    "run",
    "/echo/{id}",
    {"name": "id", "location": "path", "required": True},
    query("n", type="integer"),
    {"name": "X-Own", "location": "header"},
)
SUBJECT = subjects.execute("acme", "shop", "run")


async def still_serves(bus: Bus) -> bool:
    return bool((await bus.execute("shop", "run", {"id": "x"}))["status_code"] == 200)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"not json", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"parameters":{"id":NaN}}', "not JSON"),
        (b'{"parameters":{"id":"\\ud800"}}', "not JSON"),
        (b'{"parameters":{"id":' + b"[" * 100_000, "not JSON"),
        (b'{"parameters":{"id":1e999}}', "wrong shape"),
        (b"[]", "wrong shape"),
        (b"null", "wrong shape"),
        (b'"text"', "wrong shape"),
        (b'{"parameters":[]}', "wrong shape"),
        (b'{"parameters":null}', "wrong shape"),
        (b'{"headers":{"X-A":1}}', "wrong shape"),
        (b'{"timeout":"5"}', "wrong shape"),
        (b'{"params":{}}', "unknown field `params`"),
        (b'{"timeout":0}', "0.1 to 300"),
        (b'{"timeout":301}', "0.1 to 300"),
        (b'{"parameters":{"id":"' + b"x" * 600_000 + b'"}}', "524,288"),
    ],
)  # fmt: skip
async def test_a_malformed_body_is_refused(
    bus: Bus, executor: Executor, upstream: FaultServer, body: bytes, words: str
) -> None:
    await bus.publish("shop", RUN)
    with pytest.raises(DibopError) as caught:
        read(await bus.raw(SUBJECT, body))
    assert caught.value.code == "invalid-request"
    assert words in caught.value.detail
    assert upstream.arrivals == []
    assert await still_serves(bus)


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        ({"parameters": {}}, "id"),
        ({"parameters": {"id": 5}}, "id"),
        ({"parameters": {"id": ".."}}, "id"),
        ({"parameters": {"id": "."}}, "id"),
        ({"parameters": {"id": "x", "n": "5"}}, "n"),
        ({"parameters": {"id": "x", "n": 2**60}}, "n"),
        ({"parameters": {"id": "x", "m": 5}}, "m"),
        ({"parameters": {"id": "x", "X-Own": "a\r\nEvil: yes"}}, "X-Own"),
        ({"parameters": {"id": "x"}, "headers": {"X-A": "a\r\nEvil: yes"}}, "X-A"),
        ({"parameters": {"id": "x"}, "headers": {"Host": "evil.example"}}, "Host"),
        ({"parameters": {"id": "x"}, "headers": {"Transfer-Encoding": "chunked"}}, "Transfer-Encoding"),
    ],
)
async def test_values_that_do_not_fit_are_refused(
    bus: Bus, executor: Executor, upstream: FaultServer, request_: dict[str, Any], name: str
) -> None:
    await bus.publish("shop", RUN)
    with pytest.raises(DibopError) as caught:
        read(await bus.raw(SUBJECT, msgspec.json.encode(request_)))
    assert caught.value.code == "invalid-parameters"
    assert [error["name"] for error in caught.value.errors] == [name]
    assert upstream.arrivals == []
    assert await still_serves(bus)


@pytest.mark.parametrize("value", ["../../admin", "a/b", "%2e%2e%2fadmin", "a?b=c#d", "a\r\nEvil: yes"])
async def test_a_path_value_stays_one_segment(bus: Bus, executor: Executor, upstream: FaultServer, value: str) -> None:
    await bus.publish("shop", RUN)
    await bus.execute("shop", "run", {"id": value})
    (arrival,) = upstream.arrivals
    assert arrival.path.count("/") == 2
    assert arrival.query == {}
    assert "evil" not in arrival.headers


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Dibop-Deadline-Ms": "soon"}, "invalid-request"),
        ({"Dibop-Deadline-Ms": "99999999999"}, "invalid-request"),
        ({"Dibop-Deadline-Ms": "0"}, "deadline-exceeded"),
        ({"Dibop-Deadline-Ms": "-1"}, "deadline-exceeded"),
        ({"Dibop-Version": "newest"}, "invalid-request"),
        ({"Dibop-Connection": "a.b"}, "invalid-request"),
        ({"Dibop-Connection": "*"}, "invalid-request"),
        ({"Dibop-Connection": ">"}, "invalid-request"),
    ],
)
async def test_bad_headers_are_refused(bus: Bus, executor: Executor, headers: dict[str, str], code: str) -> None:
    await bus.publish("shop", RUN)
    assert (await bus.refused("shop", "run", {"id": "x"}, headers=headers)).code == code
    assert await still_serves(bus)


@pytest.mark.parametrize("identifier", ["é", "a b", "x" * 200, '"'])
async def test_a_request_id_that_cannot_be_echoed_is_replaced(bus: Bus, executor: Executor, identifier: str) -> None:
    await bus.publish("shop", RUN)
    reply = await bus.execute("shop", "run", {"id": "x"}, headers={"Dibop-Request-Id": identifier})
    assert reply["request_id"].isascii()
    assert reply["request_id"] != identifier


@pytest.mark.parametrize(
    ("subject", "code"),
    [
        ("exec.v1.ACME.shop.run", "invalid-request"),
        ("exec.v1.acme.sh%op.run", "unknown-connector"),
        ("exec.v1.acme.shop.RUN", "unknown-operation"),
        ("draft.v1.acme.shop.run", "invalid-request"),
    ],
)
async def test_odd_subjects_are_answered(bus: Bus, executor: Executor, subject: str, code: str) -> None:
    await bus.publish("shop", RUN)
    with pytest.raises(DibopError) as caught:
        read(await bus.raw(subject, b'{"parameters":{"id":"x"}}'))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"owner":"acme","digest":"sha256:0","extra":1}',
        b'{"owner":"acme","digest":"sha256:' + b"0" * 64 + b'"}',
        b'{"owner":"acme","digest":"../../catalogue"}',
        b'{"owner":"acme","digest":""}',
    ],
)
async def test_bad_drafts_are_answered(bus: Bus, executor: Executor, body: bytes) -> None:
    with pytest.raises(DibopError) as caught:
        read(await bus.raw("draft.v1.acme.shop.run", body))
    assert caught.value.code in {"invalid-request", "internal"}
    await bus.publish("shop", RUN)
    assert await still_serves(bus)


async def test_a_request_without_a_reply_subject_is_dropped(
    bus: Bus, executor: Executor, upstream: FaultServer
) -> None:
    await bus.publish("shop", RUN)
    await bus.nc.publish(SUBJECT, b'{"parameters":{"id":"x"}}')

    async def counted() -> bool:
        stats = msgspec.json.decode((await bus.raw("$SRV.STATS.dibop-executor")).data)
        return bool(stats["endpoints"][0]["data"]["without_reply"] == 1)

    await eventually(counted)
    assert upstream.arrivals == []


async def test_an_error_carries_the_callers_request_id(bus: Bus, executor: Executor) -> None:
    message = await bus.raw(subjects.execute("acme", "none", "run"), b"", {"Dibop-Request-Id": "r-9"})
    assert msgspec.json.decode(message.data)["request_id"] == "r-9"
    assert message.headers is not None
    assert message.headers["Nats-Service-Error"] == "unknown-connector: No such connector"
