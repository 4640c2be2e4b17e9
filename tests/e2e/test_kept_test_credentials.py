"""Test credentials that a person keeps: saved once, named by further test runs, opened by executors alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dibop.admin import Publisher, Registry
from dibop.errors import NotFoundError
from dibop.sealing import kept_for_tests, load_sealing_key
from shared.contracts.commands import StartTest
from shared.contracts.template import check
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(120)
SLUG = "kept"
SECRET = "a-test-key-of-some-length"


def document(url: str) -> dict[str, Any]:
    return {
        "name": "Kept",
        "slug": SLUG,
        "type": "General",
        "description": "Tells what came.",
        "base_url": url,
        "auth_type": "api_key",
        "header_name": "X-Api-Key",
        "operations": [
            {
                "operation": "look",
                "description": "Answer with what came.",
                "method": "GET",
                "path": "/json",
                "parameters": [],
                "response_schema": {"type": "object"},
            }
        ],
    }


async def test_a_run_names_what_its_person_keeps(stack: Stack, fault_url: str, tmp_path: Path) -> None:
    stack.draft(document(fault_url), directory=tmp_path)
    template = check(document(fault_url)).template
    assert template is not None
    async with stack.client() as client:
        registry, publisher = Registry(client, "platform"), Publisher(client, "platform")
        key = load_sealing_key(client.context.seal_key_file)
        command = kept_for_tests(template, {"api_key": SECRET}, key, owner="platform")

        kept = await registry.save_test_credentials(command)

        assert await registry.test_credentials(SLUG) == [kept]
        assert kept.fields == {"api_key": "••••ngth"}
        with_kept = StartTest(slug=SLUG, operations=["look"], credentials_id=kept.id)
        for _ in range(2):
            (tested,) = (await publisher.run_test(with_kept)).operations
            assert (tested.outcome, tested.reason) == ("pass", None)
        (without,) = (await publisher.run_test(StartTest(slug=SLUG, operations=["look"]))).operations
        assert without.outcome == "fail"

        await registry.delete_test_credentials(kept.id)

        assert await registry.test_credentials() == []
        with pytest.raises(NotFoundError, match="keeps no test credentials"):
            await publisher.run_test(with_kept)
