"""Requests made up from the API's own document: whatever they hold, the console neither breaks nor says what it did not
announce.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Response
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

from services.console.api.application import openapi_document
from shared.security.principals import Role
from tests.integration.console.conftest import Stage
from tests.support.tokens import Tokens

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXAMPLES = 5


def no_bug(_context: object, response: Response, _case: object) -> None:
    """502 to 504 are answers that the contract has: a busy machine lets a made-up deadline pass."""
    assert response.status_code != INTERNAL, f"internal error: {response.text[:500]}"


INTERNAL = 500
HELD = [
    no_bug,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]


def fuzzed(url: str, token: str) -> list[str]:
    """What went wrong, operation by operation."""
    failures: list[str] = []
    document = openapi_document()
    schema = schemathesis.openapi.from_dict(document)
    for found in schema.exclude(path_regex="events$").get_all_operations():  # these do not end
        assert isinstance(found, Ok), found
        operation = found.ok()

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def holds(case: Any) -> None:
            case.call_and_validate(base_url=url, headers={"Authorization": f"Bearer {token}"}, checks=HELD, timeout=60)

        try:
            holds()
        except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001  # every one of them is told at the end
            failures.append(f"{operation.label}: {getattr(error, 'exceptions', error)}")
    return failures


async def test_no_made_up_request_breaks_the_console(stage: Stage, tokens: Tokens) -> None:
    token = tokens.issue("fuzz", "umbrella", Role.PLATFORM_ADMIN, Role.ENTERPRISE_ADMIN_SDK)
    failures = await asyncio.to_thread(fuzzed, stage.console.url, token)
    assert not failures, "\n\n".join(failures)
