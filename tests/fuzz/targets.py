"""All fuzz targets."""

from __future__ import annotations

from typing import Final

from tests.fuzz import contracts, requests, responses, sealed

TARGETS: Final = (*contracts.TARGETS, *requests.TARGETS, *responses.TARGETS, *sealed.TARGETS)
