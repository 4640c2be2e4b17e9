"""A real server with the generated configuration, and connections of every kind of user."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import StreamConfig

from shared.messaging.access.authority import Authority
from shared.messaging.access.permissions import SERVICES, UserRights, enterprise_client, platform_service
from shared.messaging.bootstrap import bootstrap
from shared.messaging.connection import BusClient
from tests.support.servers import NatsServer

QUIET_SECONDS = 0.2
"""How long a message may take that must not come; one that comes needs a hundredth of it."""


@dataclass
class User:
    """A connection, and what the server has refused it."""

    nc: Client
    rights: UserRights
    refusals: list[str] = field(default_factory=list)
    heard: list[Msg] = field(default_factory=list)

    @property
    def js(self) -> JetStreamContext:
        return self.nc.jetstream(timeout=2)

    async def may_publish(self, subject: str, reply: str = "") -> bool:
        """True where the server takes an empty message there."""
        return not await self._refused(self.nc.publish(subject, b"", reply=reply))

    async def publishable(self, subjects: Iterable[str]) -> list[str]:
        """Those of the subjects where the server takes a message."""
        return [subject for subject in subjects if await self.may_publish(subject)]

    async def may_subscribe(self, subject: str, queue: str = "") -> bool:
        return not await self._refused(self.nc.subscribe(subject, queue=queue))

    async def hear(self, subject: str, queue: str = "", answer: bytes | None = None) -> None:
        """Collect what comes in `heard`, answering it where there is an answer to give."""

        async def take(message: Msg) -> None:
            self.heard.append(message)
            if answer is not None and message.reply:
                await self.nc.publish(message.reply, answer)

        before = len(self.refusals)
        await self.nc.subscribe(subject, queue=queue, cb=take)
        await self.nc.flush()
        assert self.refusals[before:] == []

    async def _refused(self, doing: Awaitable[object]) -> bool:
        before = len(self.refusals)
        await doing
        await self.nc.flush()
        return len(self.refusals) > before


class World:
    """The server, its authority, and users made as they are asked for."""

    def __init__(self, url: str, authority: Authority, directory: Path) -> None:
        self.url = url
        self.authority = authority
        self._directory = directory
        self._connections: list[Client] = []

    async def service(self, name: str) -> User:
        return await self._connect(SERVICES[name], self.authority.service_credentials(name))

    async def client(self, enterprise: str, user: str = "one", **narrowed: object) -> User:
        rights = enterprise_client(enterprise, user, **narrowed)  # type: ignore[arg-type]
        return await self._connect(rights, self.authority.enterprise_credentials(enterprise, rights))

    async def platform(self, name: str = "billing", *sources: str) -> User:
        rights = platform_service(name, sources)
        return await self._connect(rights, self.authority.platform_credentials(rights))

    async def close(self) -> None:
        await asyncio.gather(*(connection.close() for connection in self._connections))

    async def _connect(self, rights: UserRights, credentials: str) -> User:
        file = self._directory / f"{rights.name}-{len(self._connections)}.creds"
        file.write_text(credentials)
        user = User(BusClient(), rights)

        async def note(error: Exception) -> None:
            user.refusals.append(str(error).lower())

        await user.nc.connect(
            self.url, user_credentials=str(file), inbox_prefix=rights.inbox_prefix, error_cb=note, allow_reconnect=False
        )
        self._connections.append(user.nc)
        return user


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority.ensure(tmp_path_factory.mktemp("authority"))
    for enterprise in ("acme", "globex"):
        made.add_enterprise(enterprise)
    return made


@pytest.fixture(scope="module")
def guarded_url(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = NatsServer(tmp_path_factory.mktemp("guarded"), authority.server_config()).start()
    yield server.url
    server.stop()


@pytest.fixture
async def world(guarded_url: str, authority: Authority, tmp_path: Path) -> AsyncIterator[World]:
    """Streams and buckets are made and empty."""
    made = World(guarded_url, authority, tmp_path)
    operator = await made.service("operator")
    await bootstrap(operator.js)
    await operator.js.add_stream(StreamConfig(name="EXEC_JOBS", subjects=["job.v1.>"]))
    for name in await stream_names(operator):
        await operator.js.purge_stream(name)
    yield made
    await made.close()


async def stream_names(operator: User) -> list[str]:
    return [str(info.config.name) for info in await operator.js.streams_info()]


@pytest.fixture
def stored(world: World) -> Callable[[], Awaitable[dict[str, int]]]:
    """How many messages each stream and bucket holds."""

    async def count() -> dict[str, int]:
        operator = await world.service("operator")
        infos = await operator.js.streams_info()
        return {str(info.config.name): info.state.messages for info in infos if info.state.messages}

    return count
