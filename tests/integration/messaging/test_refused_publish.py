"""What a user may not publish is told in the log: NATS tells nobody else."""

from __future__ import annotations

from pathlib import Path

import structlog.testing

from shared.messaging.connection import connect
from shared.settings import BusSettings
from tests.support.polling import eventually
from tests.support.servers import NatsServer

USERS = """
authorization {
  users: [{user: "eve", password: "pw", permissions: {
    publish: {allow: ["exec.v1.acme.>"]}, subscribe: {allow: ["_INBOX_eve.>"]}
  }}]
}
"""


async def test_a_refused_publish_becomes_a_sentence_in_the_log(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats", USERS).start()
    settings = BusSettings(nats_url=server.url.replace("//", "//eve:pw@"), nats_inbox_prefix="_INBOX_eve")
    with structlog.testing.capture_logs() as logs:
        client = await connect(settings, name="eve", wait_seconds=10)
        await client.publish("exec.v1.other.weather.get", b"{}")
        await client.flush()

        [line] = await eventually(lambda: [log for log in logs if "refused" in log])

    assert "give the user this permission" in line["event"]
    assert 'publish to "exec.v1.other.weather.get"' in line["refused"].lower()
    await client.close()
    server.stop()
