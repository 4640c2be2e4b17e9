"""Every request to a service gets one reply, whatever it holds and whatever fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.errors import ERROR_CODE_HEADER, ERROR_HEADER, DibopError
from shared.contracts.execution import MAX_REQUEST_BYTES, REQUEST_ID_HEADER
from shared.messaging.client import command, request
from shared.messaging.connection import BusClient
from shared.messaging.service import CommandContext, CommandService
from shared.security.principals import Role, TokenVerifier
from shared.settings import ServiceSettings
from tests.support.polling import eventually
from tests.support.tokens import Tokens

SAVE = "registry.v1.acme.thing.save"


class Save(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=20)
    count: int = Field(1, ge=1)
    ending: str = "well"


class Saved(BaseModel):
    name: str
    enterprise: str
    by: str
    request_id: str


@pytest.fixture
async def service(nats_url: str, verifier: TokenVerifier) -> AsyncIterator[CommandService]:
    service = CommandService("registry", ServiceSettings(nats_url=nats_url), verifier, "0.0.1")

    @service.command("thing", "save", Save)
    async def save(context: CommandContext, command: Save) -> Saved | dict[str, str]:
        match command.ending:
            case "refused":
                raise DibopError("conflict", "Somebody was faster.")
            case "bug":
                raise ZeroDivisionError("secret inner detail")
            case "too large":
                return {"text": "x" * 2_200_000}
        return Saved(
            name=command.name,
            enterprise=context.enterprise,
            by=context.principal.subject,
            request_id=context.request_id,
        )

    await service.start()
    yield service
    await service.drain_and_stop()


@pytest.fixture
def token(tokens: Tokens) -> str:
    return tokens.issue("eve", "acme", Role.ENTERPRISE_ADMIN)


async def refusal(nc: BusClient, token: str | None, body: bytes | dict[str, Any], subject: str = SAVE) -> DibopError:
    with pytest.raises(DibopError) as refused:
        await request(nc, subject, body, token=token, timeout=5)
    return refused.value


async def test_a_command_is_answered(service: CommandService, nc: BusClient, token: str) -> None:
    saved = await command(nc, SAVE, {"name": "a"}, Saved, token=token, timeout=5, request_id="r-1")

    assert saved == Saved(name="a", enterprise="acme", by="eve", request_id="r-1")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{not json", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"name": "cut', "not JSON"),
        (b"[1, 2]", "a list"),
        (b'"text"', "text"),
        (b"null", "null"),
        (b"[" * 10_000, "not JSON"),
    ],
)
async def test_a_body_that_is_not_an_object_is_refused(
    service: CommandService, nc: BusClient, token: str, body: bytes, said: str
) -> None:
    error = await refusal(nc, token, body)

    assert error.code == "invalid-request"
    assert said in error.detail


async def test_all_problems_of_a_body_are_named_at_once(service: CommandService, nc: BusClient, token: str) -> None:
    error = await refusal(nc, token, {"nam": "a", "count": "3"})

    assert error.code == "invalid-request"
    assert [(e["path"], e["problem"]) for e in error.errors] == [
        ("/name", "is missing"),
        ("/count", "is text, and must be a whole number"),
        ("/nam", "is not a field of this command"),
    ]
    assert error.errors[2]["mend"] == "Did you mean 'name'?"


async def test_a_body_over_the_limit_is_refused(service: CommandService, nc: BusClient, token: str) -> None:
    error = await refusal(nc, token, {"name": "x" * MAX_REQUEST_BYTES})

    assert error.code == "invalid-request"
    assert str(MAX_REQUEST_BYTES) in error.detail


async def test_a_refusal_of_the_handler_is_answered(service: CommandService, nc: BusClient, token: str) -> None:
    error = await refusal(nc, token, {"name": "a", "ending": "refused"})

    assert (error.code, error.detail) == ("conflict", "Somebody was faster.")


async def test_a_bug_in_the_handler_is_answered_without_its_inner_detail(
    service: CommandService, nc: BusClient, token: str
) -> None:
    error = await refusal(nc, token, {"name": "a", "ending": "bug"})

    assert error.code == "internal"
    assert error.request_id is not None
    assert error.request_id in error.detail
    assert "secret inner detail" not in error.detail


async def test_a_reply_too_large_to_send_becomes_an_error(service: CommandService, nc: BusClient, token: str) -> None:
    error = await refusal(nc, token, {"name": "a", "ending": "too large"})

    assert error.code == "response-too-large"


async def test_a_command_without_a_token_is_refused(service: CommandService, nc: BusClient) -> None:
    assert (await refusal(nc, None, {"name": "a"})).code == "unauthenticated"
    assert (await refusal(nc, "not.a.token", {"name": "a"})).code == "unauthenticated"


async def test_an_enterprise_that_is_no_name_is_refused(service: CommandService, nc: BusClient, token: str) -> None:
    assert (await refusal(nc, token, {"name": "a"}, "registry.v1.ACME!.thing.save")).code == "invalid-request"


async def test_an_error_reply_carries_headers_and_an_rfc_9457_document(
    service: CommandService, nc: BusClient, token: str
) -> None:
    reply = await nc.request(
        SAVE, b"[]", timeout=5, headers={"Authorization": f"Bearer {token}", REQUEST_ID_HEADER: "r-7"}
    )

    assert reply.headers is not None
    assert reply.headers[ERROR_CODE_HEADER] == "400"
    assert reply.headers[ERROR_HEADER] == "invalid-request: The request is not well formed"
    assert reply.headers[REQUEST_ID_HEADER] == "r-7"
    problem = json.loads(reply.data)
    assert problem["type"] == "urn:dibop:error:invalid-request"
    assert problem["status"] == 400
    assert problem["request_id"] == "r-7"


async def test_a_bad_request_is_answered_once_and_the_service_lives_on(
    service: CommandService, nc: BusClient, token: str
) -> None:
    inbox = nc.new_inbox()
    replies = await nc.subscribe(inbox)
    for body in (b"{", b"[]", b'{"name": "a", "ending": "bug"}'):
        await nc.publish(SAVE, body, reply=inbox, headers={"Authorization": f"Bearer {token}"})

    for _ in range(3):
        await replies.next_msg(timeout=5)
    await command(nc, SAVE, {"name": "a"}, Saved, token=token, timeout=5)
    assert replies.pending_msgs == 0


async def test_a_service_that_does_not_run_is_named(nc: BusClient) -> None:
    with pytest.raises(DibopError, match=r"No publisher answers on publisher\.v1\.acme\.connector\.publish") as refused:
        await request(nc, "publisher.v1.acme.connector.publish", {}, timeout=5)

    assert refused.value.retryable


async def test_an_answer_that_does_not_come_in_time_is_named(nc: BusClient) -> None:
    await nc.subscribe("registry.v1.acme.thing.forget", queue="silent")

    with pytest.raises(DibopError, match=r"within 0\.05 s") as refused:
        await request(nc, "registry.v1.acme.thing.forget", {}, timeout=0.05)

    assert refused.value.code == "deadline-exceeded"


async def test_a_service_beyond_its_queue_refuses_at_once(
    nats_url: str, nc: BusClient, verifier: TokenVerifier, token: str
) -> None:
    service = CommandService("publisher", ServiceSettings(nats_url=nats_url), verifier, "0.0.1")
    release, running, most = asyncio.Event(), 0, 0

    @service.command("thing", "hold", Save, concurrency=2)
    async def hold(context: CommandContext, command: Save) -> dict[str, str]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await release.wait()
        running -= 1
        return {}

    await service.start()
    asked = [
        asyncio.create_task(request(nc, "publisher.v1.acme.thing.hold", {"name": str(number)}, token=token, timeout=20))
        for number in range(100)
    ]
    await eventually(lambda: sum(task.done() for task in asked) == 34, what="34 are refused while 66 are held")
    release.set()
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    await service.drain_and_stop()

    assert most == 2
    errors = [outcome for outcome in outcomes if isinstance(outcome, DibopError)]
    assert {error.code for error in errors} == {"overloaded"}
    assert len(outcomes) - len(errors) == 66
