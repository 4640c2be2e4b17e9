"""What routes and pages work with: made once by `app.py`, at hand as `request.app.state.parts`."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from services.console.bus import Bus
from services.console.security.callers import Callers
from services.console.security.cookies import SessionCookie
from services.console.security.links import SignInLinks
from services.console.security.oidc import OidcSignIn
from services.console.security.origins import Origins
from services.console.security.sessions import Sessions
from services.console.settings import ConsoleSettings
from services.console.store import Store
from shared.security.sealing import SealingKey


@dataclass(frozen=True, slots=True)
class Parts:
    """`stopping` is set when the console is about to go: streams end by themselves then.

    `open_streams` counts them by person.
    """

    settings: ConsoleSettings
    bus: Bus
    store: Store
    origins: Origins
    cookie: SessionCookie
    sessions: Sessions
    links: SignInLinks
    callers: Callers
    oidc: OidcSignIn | None
    sealing_key: SealingKey | None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    open_streams: Counter[str] = field(default_factory=Counter)
