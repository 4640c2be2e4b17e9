"""CloudEvents in binary mode."""

import pytest

from shared.contracts.events import Event


def test_an_event_survives_the_way_over_the_bus() -> None:
    sent = Event("acme", "connector", "weather", "version_published", "publisher", {"version": "1.0.0"})

    assert sent.subject == "evt.v1.acme.connector.weather.version_published"
    assert Event.read(sent.subject, sent.headers(), sent.body()) == sent


def test_headers_are_those_of_cloudevents_and_let_the_server_drop_a_repeat() -> None:
    event = Event("acme", "connection", "0b9c", "created", "registry", {}, id="e-1", time="2026-01-31T09:05:00.123Z")

    assert event.headers() == {
        "ce-specversion": "1.0",
        "ce-id": "e-1",
        "ce-type": "dibop.connection.created",
        "ce-source": "/dibop/registry",
        "ce-subject": "0b9c",
        "ce-time": "2026-01-31T09:05:00.123Z",
        "ce-enterprise": "acme",
        "content-type": "application/json",
        "Nats-Msg-Id": "e-1",
    }


@pytest.mark.parametrize(
    ("subject", "headers"),
    [("evt.v1.acme.connector.weather", {"ce-id": "1"}), ("evt.v1.a.b.c.d", {}), ("exec.v1.a.b.c.d", {"ce-id": "1"})],
)
def test_what_is_no_event_is_refused(subject: str, headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="no CloudEvent"):
        Event.read(subject, headers, b"{}")
