"""Accounts: the services share one, and each enterprise has its own, as have the platform's other services.

A NATS server does not check where a request wants its answer. JetStream too answers to any reply subject, so that in
one account whoever may ask it anything, be it for the acknowledgement of a job, could have the answer written into a
projection or sent to another tenant. Between accounts the server itself carries the answer back into the account that
asked, whatever the reply subject says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from shared.contracts.names import PLATFORM
from shared.contracts.subjects import EVENTS_STREAM, RESPONSES_STREAM

SERVICES_ACCOUNT: Final = "dibop"
PLATFORM_ACCOUNT: Final = PLATFORM
"""The account of the platform's other services; no enterprise may carry this name."""

_MINUTE_NS: Final = 60 * 10**9
LONGEST_ANSWER_NS: Final = 30 * _MINUTE_NS
"""How long the server remembers where an answer belongs: well above a test run of ten minutes."""


@dataclass(frozen=True, slots=True)
class Export:
    """What the services' account offers to the others: requests to answer, or messages to hear."""

    subject: str
    kind: Literal["service", "stream"] = "service"
    answers: Literal["Singleton", "Stream"] = "Singleton"


EXPORTS: Final = (
    Export("exec.v1.>"),
    Export("job.v1.>"),
    Export("registry.v1.>"),
    Export("publisher.v1.>"),
    Export("executor.v1.>"),
    Export(f"$JS.API.DIRECT.GET.{RESPONSES_STREAM}.resp.v1.>"),
    Export(f"$JS.API.CONSUMER.INFO.{EVENTS_STREAM}.*"),
    Export(f"$JS.API.CONSUMER.MSG.NEXT.{EVENTS_STREAM}.*", answers="Stream"),
    Export(f"$JS.ACK.{EVENTS_STREAM}.>"),
    Export("evt.v1.platform.enterprise.>"),
    Export("evt.v1.*.ext.>"),
    Export("evt.v1.>", kind="stream"),
)


@dataclass(frozen=True, slots=True)
class Import:
    """What an account takes from the services' account, narrowed to what is its own."""

    subject: str
    kind: Literal["service", "stream"] = "service"


def enterprise_imports(enterprise: str) -> list[Import]:
    """What the clients of an enterprise reach; its users' permissions narrow it further.

    The platform's planes are here for Platform Admins, who alone get a user that may publish there.
    """
    own = [f"{plane}.v1.{enterprise}.>" for plane in ("exec", "job", "registry", "publisher", "executor")]
    platform = [f"{plane}.v1.{PLATFORM}.>" for plane in ("registry", "publisher", "executor")]
    jetstream = [
        f"$JS.API.DIRECT.GET.{RESPONSES_STREAM}.resp.v1.{enterprise}.>",
        f"$JS.API.CONSUMER.INFO.{EVENTS_STREAM}.*",
        f"$JS.API.CONSUMER.MSG.NEXT.{EVENTS_STREAM}.*",
        f"$JS.ACK.{EVENTS_STREAM}.>",
    ]
    heard = [f"evt.v1.{enterprise}.>", f"evt.v1.{PLATFORM}.>"]
    return [
        *(Import(subject) for subject in (*own, *platform, *jetstream)),
        *(Import(subject, "stream") for subject in heard),
    ]


def platform_imports() -> list[Import]:
    """What the platform's other services reach: events to tell, which JetStream acknowledges."""
    return [Import("evt.v1.platform.enterprise.>"), Import("evt.v1.*.ext.>")]
