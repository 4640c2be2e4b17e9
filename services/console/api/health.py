"""How the console itself is, for whatever keeps it running."""

from __future__ import annotations

from fastapi import APIRouter, Response

from services.console.api.dependencies import PartsOf
from services.console.api.models import View

router = APIRouter(prefix="/health", include_in_schema=False)


class Readiness(View):
    ready: bool
    nats: bool
    redis: bool


@router.get("/live")
async def live() -> dict[str, bool]:
    """This process answers."""
    return {"live": True}


@router.get("/ready")
async def ready(response: Response, parts: PartsOf) -> Readiness:
    """It serves: NATS and Redis answer, and it is not about to stop."""
    nats, redis = parts.bus.connected, await parts.store.ready()
    fine = nats and redis and not parts.stopping.is_set()
    response.status_code = 200 if fine else 503
    return Readiness(ready=fine, nats=nats, redis=redis)
