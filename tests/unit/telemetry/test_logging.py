"""Logs: JSON lines with their context, and no secrets in them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any, Literal

import pytest
import structlog

from shared.security.redaction import REDACTED, keep_out
from shared.settings import ServiceSettings
from shared.telemetry.logging import configure, redact


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_is_one_json_object_with_its_context(capsys: pytest.CaptureFixture[str]) -> None:
    configure(ServiceSettings(log_format="json"), "registry")
    with structlog.contextvars.bound_contextvars(request_id="r-1", enterprise="acme"):
        structlog.get_logger("test").info("Saved", connector="weather")

    [line] = lines(capsys)
    assert line["event"] == "Saved"
    assert line["level"] == "info"
    assert line["service"] == "registry"
    assert (line["request_id"], line["enterprise"], line["connector"]) == ("r-1", "acme", "weather")
    assert line["timestamp"].endswith("Z")


def test_lines_of_libraries_look_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    configure(ServiceSettings(log_format="json"), "registry")
    logging.getLogger("some.library").warning("careful: %s", "hot")

    [line] = lines(capsys)
    assert (line["event"], line["level"], line["service"]) == ("careful: hot", "warning", "registry")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_is_logged_without_local_variables(
    capsys: pytest.CaptureFixture[str], log_format: Literal["json", "console"]
) -> None:
    configure(ServiceSettings(log_format=log_format), "registry")
    hidden = "hunter2"
    try:
        int("x" + hidden[:0])
    except ValueError:
        structlog.get_logger("test").exception("Failed")

    logged = capsys.readouterr().err
    assert "ValueError" in logged
    assert "hunter2" not in logged


def test_levels_below_the_setting_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure(ServiceSettings(log_format="json", log_level="WARNING"), "registry")
    structlog.get_logger("test").info("quiet")
    structlog.get_logger("test").warning("loud")

    assert [line["event"] for line in lines(capsys)] == ["loud"]


def test_a_person_gets_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure(ServiceSettings(log_format="console"), "registry")
    structlog.get_logger("test").info("Saved", password="hunter2")

    text = capsys.readouterr().err
    assert "Saved" in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    "name",
    ["password", "passwd", "Authorization", "api_key", "apiKey", "client_secret", "access_token", "sealed", "cookie"],
)
def test_a_field_that_names_a_secret_is_redacted_at_any_depth(name: str) -> None:
    event = {name: "hunter2", "headers": {name: "hunter2", "x": 1}, "many": [{name: "hunter2"}]}

    assert redact(None, "info", event) == {
        name: REDACTED,
        "headers": {name: REDACTED, "x": 1},
        "many": [{name: REDACTED}],
    }


def test_a_path_of_a_secret_is_no_secret() -> None:
    assert redact(None, "info", {"token_key_file": "/etc/keys"}) == {"token_key_file": "/etc/keys"}


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("library", [False, True])
def test_secrets_at_hand_are_redacted_wherever_they_stand(
    capsys: pytest.CaptureFixture[str], log_format: Literal["json", "console"], library: bool
) -> None:
    configure(ServiceSettings(log_format=log_format, log_level="DEBUG"), "registry")
    keep_out(("hunter2/and=more",))
    try:
        try:
            int("hunter2/and=more")
        except ValueError as inner:
            raise KeyError("outer hunter2%2Fand%3Dmore") from inner
    except KeyError:
        if library:
            logging.getLogger("some.library").exception("said %s", b"hunter2/and=more")
        else:
            structlog.get_logger("test").exception("Said hunter2/and=more", extra=["aHVudGVyMi9hbmQ9bW9yZQ=="])

    said = capsys.readouterr().err
    assert "ValueError" in said
    assert REDACTED in said
    for form in ("hunter2/and", "hunter2%2F", "aHVudGVyMi9hbmQ9bW9yZQ"):
        assert form not in said
