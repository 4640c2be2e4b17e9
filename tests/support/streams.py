"""What a stream holds."""

from __future__ import annotations

from nats.js import JetStreamContext

from shared.contracts.events import Event
from shared.contracts.subjects import EVENTS_STREAM


async def stored_events(js: JetStreamContext) -> list[Event]:
    """Every event that the stream EVENTS has, in its order."""
    state = (await js.stream_info(EVENTS_STREAM)).state
    if not state.messages:
        return []
    events = []
    for sequence in range(state.first_seq, state.last_seq + 1):
        message = await js.get_msg(EVENTS_STREAM, sequence)
        events.append(Event.read(str(message.subject), message.headers, message.data or b""))
    return events
