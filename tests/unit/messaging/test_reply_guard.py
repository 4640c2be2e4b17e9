"""Where an answer may go, and what is told of requests that want it elsewhere."""

from __future__ import annotations

import pytest
import structlog.testing

from shared.messaging.reply_guard import DroppedRequests, reply_allowed


@pytest.mark.parametrize(
    ("reply", "allowed"),
    [
        ("_INBOX.acme.one.abc.1", True),
        ("_INBOX.svc.publisher.abc", True),
        ("_R_.abc.def", True),
        ("", False),
        ("_INBOX", False),
        ("_INBOX.acme", False),
        ("_INBOX.acme2.one.abc", False),
        ("_INBOX.globex.one.abc", False),
        ("_INBOX.abc", False),
        ("_inbox.acme.one", False),
        ("exec.v1.globex.crm.delete", False),
        ("$JS.ACK.EVENTS.x.1.1.1.1.0", False),
        ("$KV.connections.globex.crm.default", False),
        ("x._INBOX.acme.one", False),
    ],
)
def test_an_answer_goes_to_the_enterprises_inboxes_to_a_service_or_where_the_server_routes_it(
    reply: str, allowed: bool
) -> None:
    assert reply_allowed("acme", reply) is allowed


def test_dropped_requests_are_counted_each_and_told_once_in_a_while() -> None:
    dropped = DroppedRequests()

    with structlog.testing.capture_logs() as logs:
        for number in range(3):
            dropped.add("exec.v1.acme.crm.get", f"_INBOX.globex.{number}")

    assert dropped.count == 3
    [line] = logs
    assert (line["subject"], line["reply"]) == ("exec.v1.acme.crm.get", "_INBOX.globex.0")
