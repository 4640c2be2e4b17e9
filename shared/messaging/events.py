"""Events onto the bus: CloudEvents in binary mode, each stored once."""

from __future__ import annotations

from typing import Final

from nats.js import JetStreamContext

from shared.contracts.events import Event

_ACK_SECONDS: Final = 5.0


async def publish_event(js: JetStreamContext, event: Event) -> bool:
    """Store an event; False where the stream had it already (same id within two minutes).

    Raises nats.errors.Error when the server does not confirm it. Whoever changes a database uses the outbox.
    """
    acknowledgement = await js.publish(
        event.subject, event.body(), timeout=_ACK_SECONDS, stream=event.stream, headers=event.headers()
    )
    return not acknowledgement.duplicate
