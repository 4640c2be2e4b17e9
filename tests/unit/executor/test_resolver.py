"""Routes: found once, forgotten when something changes, and read anew before anything is called unknown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import pytest
from nats.errors import Error as NatsError

from services.executor.credentials import Vault
from services.executor.domain.compiling import compile_document
from services.executor.plans import Plans
from services.executor.resolve import Resolver, RouteKey
from shared.contracts.errors import DibopError
from shared.contracts.execution import DraftExecutionRequest
from shared.contracts.projections import CatalogueEntry, CatalogueVersion, ConnectionEntry
from shared.contracts.template import canonical_json, document_digest
from tests.support.polling import eventually

T = TypeVar("T")

SUBJECT = "exec.v1.acme.shop.run"


class FakeMirror(Generic[T]):
    """`bucket` is what the bucket has, `seen` what the mirror has seen of it."""

    def __init__(self) -> None:
        self.bucket: dict[str, T] = {}
        self.seen: dict[str, T] = {}
        self.reads = 0
        self.broken = False

    def put(self, key: str, value: T, *, seen: bool = True) -> None:
        self.bucket[key] = value
        if seen:
            self.seen[key] = value

    async def fetch(self, key: str) -> T | None:
        return self.seen[key] if key in self.seen else await self.read(key)

    def under(self, prefix: str) -> Iterator[tuple[str, T]]:
        return ((key, value) for key, value in self.seen.items() if key.startswith(prefix))

    async def read(self, key: str) -> T | None:
        self.reads += 1
        if self.broken:
            raise NatsError
        return self.bucket.get(key)


class FakeDocuments:
    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.gets = 0
        self.gate: asyncio.Event | None = None
        self.error: Exception | None = None

    def put(self, document: dict[str, Any]) -> str:
        digest = document_digest(document)
        self.stored[digest] = canonical_json(document)
        return digest

    async def get(self, digest: str) -> bytes | None:
        self.gets += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.stored.get(digest)


def document(*names: str, **changes: Any) -> dict[str, Any]:
    operations = [{"operation": name, "method": "GET", "path": f"/{name}"} for name in names or ("run",)]
    made = {"name": "Shop", "base_url": "https://api.example.com", "auth_type": "none", "operations": operations}
    return {**made, **changes}


class World:
    """A resolver and the projections it reads."""

    def __init__(self, **limits: int) -> None:
        self.catalogue: FakeMirror[CatalogueEntry] = FakeMirror()
        self.connections: FakeMirror[ConnectionEntry] = FakeMirror()
        self.documents = FakeDocuments()
        self.plans = Plans(self.documents, compile_document, limits.get("plans", 100))
        self.resolver = Resolver(
            self.catalogue, self.connections, self.plans, Vault(None), max_routes=limits.get("routes", 100)
        )

    def publish(self, *versions: dict[str, Any], owner: str = "platform", seen: bool = True) -> None:
        made = [
            CatalogueVersion(f"1.{number}.0", self.documents.put(one), "published", "now")
            for number, one in enumerate(versions)
        ]
        self.catalogue.put(f"{owner}.shop", CatalogueEntry("shop", owner, len(made), made), seen=seen)

    def connect(self, name: str = "default", *, seen: bool = True) -> None:
        entry = ConnectionEntry("c-1", "acme", "shop", "platform", name, 1, "^1", "https://a:443", "k", {}, {})
        self.connections.put(f"acme.shop.{name}", entry, seen=seen)

    async def refused(self, key: RouteKey) -> DibopError:
        with pytest.raises(DibopError) as caught:
            await self.resolver.resolve(key)
        return caught.value


@pytest.fixture
def world() -> Callable[..., World]:
    return World


async def test_a_route_is_found_once(world: Callable[..., World]) -> None:
    here = world()
    here.publish(document())
    key = (SUBJECT, None, None)
    assert here.resolver.known(key) is None
    route = await here.resolver.resolve(key)
    assert (route.version, route.connection, route.operation.name) == ("1.0.0", None, "run")
    assert here.resolver.known(key) is route


async def test_an_own_connector_that_was_only_just_written_wins(world: Callable[..., World]) -> None:
    here = world()
    here.publish(document())
    here.publish(document(), owner="acme", seen=False)
    assert (await here.resolver.resolve((SUBJECT, None, None))).hold.target.owner == "acme"


async def test_only_the_routes_of_what_changed_are_forgotten(world: Callable[..., World]) -> None:
    here = world()
    here.publish(document())
    key = (SUBJECT, None, None)
    await here.resolver.resolve(key)
    here.resolver.forget_connector("platform.other")
    here.resolver.connection_changed("acme.other.default", None)
    assert here.resolver.known(key) is not None
    here.resolver.connection_changed("acme.shop.default", None)
    assert here.resolver.known(key) is None


async def test_a_change_is_taken_up(world: Callable[..., World]) -> None:
    here = world()
    here.publish(document())
    key = (SUBJECT, None, None)
    await here.resolver.resolve(key)
    here.publish(document(), document("run", "more"))
    here.resolver.forget_connector("platform.shop")
    assert here.resolver.known(key) is None
    assert (await here.resolver.resolve(key)).version == "1.1.0"


async def test_a_route_found_while_something_changed_is_not_kept(world: Callable[..., World]) -> None:
    here = world()
    here.publish(document())
    here.documents.gate = asyncio.Event()
    key = (SUBJECT, None, None)
    resolving = asyncio.create_task(here.resolver.resolve(key))
    await eventually(lambda: here.documents.gets)
    here.resolver.forget_connector("platform.shop")
    here.documents.gate.set()
    await resolving
    assert here.resolver.known(key) is None


@pytest.mark.parametrize("what", ["connector", "version", "operation", "connection"])
async def test_what_was_only_just_written_is_found(world: Callable[..., World], what: str) -> None:
    here = world()
    key: RouteKey = (SUBJECT, None, None)
    if what != "connector":
        here.publish(document("other"))
    if what == "version":
        key = (SUBJECT, None, "1.1.0")
    if what in {"connector", "connection"}:
        here.publish(document(), seen=what == "connection")
    else:
        here.publish(document("other"), document(), seen=False)
    if what == "connection":
        here.connect("north", seen=False)
        key = (SUBJECT, "north", None)
    route = await here.resolver.resolve(key)
    assert route.operation.name == "run"
    assert route.connection == ("north" if what == "connection" else None)


@pytest.mark.parametrize(
    ("key", "code", "words"),
    [
        (("exec.v1.acme.shopp.run", None, None), "unknown-connector", "'shop'"),
        (("exec.v1.acme.UPPER.run", None, None), "unknown-connector", "UPPER"),
        ((SUBJECT, "north", None), "unknown-connection", "'nort'"),
        ((SUBJECT, None, "9.9.9"), "unknown-version", "1.0.0"),
        (("exec.v1.acme.shop.rum", None, None), "unknown-operation", "'run'"),
        (("exec.v1.acme.shop.RUN", None, None), "unknown-operation", "RUN"),
        (("exec.v1.ACME.shop.run", None, None), "invalid-request", "not a request subject"),
        ((SUBJECT, "a.b", None), "invalid-request", "Dibop-Connection"),
        ((SUBJECT, None, "latest"), "invalid-request", "Dibop-Version"),
    ],
)
async def test_what_is_unknown_is_refused_with_the_nearest_names(
    world: Callable[..., World], key: RouteKey, code: str, words: str
) -> None:
    here = world()
    here.publish(document())
    here.connect("nort")
    error = await here.refused(key)
    assert (error.code, words in error.detail) == (code, True), error.detail
    assert here.resolver.known(key) is None


async def test_a_mistyped_name_is_cheap_in_a_large_catalogue(world: Callable[..., World]) -> None:
    here = world()
    for number in range(5000):
        here.catalogue.put(f"platform.shop-{number}", CatalogueEntry(f"shop-{number}", "platform", 1, []))
    error = await here.refused(("exec.v1.acme.shop-77x.run", None, None))
    assert "shop-77" in error.detail


async def test_buckets_that_cannot_be_read_are_told(world: Callable[..., World]) -> None:
    here = world()
    here.catalogue.broken = True
    error = await here.refused((SUBJECT, None, None))
    assert (error.code, "Repeat" in error.detail) == ("internal", True)


async def test_requests_for_one_template_share_its_load(world: Callable[..., World]) -> None:
    here = world()
    here.publish(document("a", "b", "c"))
    keys: list[RouteKey] = [(f"exec.v1.acme.shop.{name}", None, None) for name in "abc"]
    await asyncio.gather(*(here.resolver.resolve(key) for key in keys))
    assert here.documents.gets == 1


async def test_a_caller_that_leaves_does_not_end_the_load(world: Callable[..., World]) -> None:
    here = world()
    here.publish(document())
    here.documents.gate = asyncio.Event()
    hasty = asyncio.create_task(here.resolver.resolve((SUBJECT, None, None)))
    patient = asyncio.create_task(here.resolver.resolve((SUBJECT, None, "1.0.0")))
    await eventually(lambda: here.documents.gets)
    await asyncio.sleep(0)
    hasty.cancel()
    here.documents.gate.set()
    assert (await patient).operation.name == "run"
    assert here.documents.gets == 1


@pytest.mark.parametrize("error", [None, NatsError(), TimeoutError()])
async def test_a_template_that_cannot_be_loaded_is_told_and_tried_again(
    world: Callable[..., World], error: Exception | None
) -> None:
    here = world()
    here.publish(document())
    stored, here.documents.stored = here.documents.stored, {}
    here.documents.error = error
    assert (await here.refused((SUBJECT, None, None))).code == "internal"
    here.documents.stored, here.documents.error = stored, None
    assert (await here.resolver.resolve((SUBJECT, None, None))).version == "1.0.0"


async def test_few_plans_are_kept(world: Callable[..., World]) -> None:
    here = world(plans=2)
    digests = [here.documents.put(document(name)) for name in "abc"]
    for digest in digests:
        await here.plans.get(digest)
    assert len(here.plans) == 2
    await here.plans.get(digests[2])
    assert here.documents.gets == 3
    await here.plans.get(digests[0])
    assert here.documents.gets == 4


async def test_few_routes_are_kept(world: Callable[..., World]) -> None:
    here = world(routes=2)
    here.publish(document("a", "b", "c"))
    for name in "abc":
        await here.resolver.resolve((f"exec.v1.acme.shop.{name}", None, None))
    kept = [name for name in "abc" if here.resolver.known((f"exec.v1.acme.shop.{name}", None, None))]
    assert kept == ["c"]


async def test_a_draft_runs_from_its_document(world: Callable[..., World]) -> None:
    here = world()
    digest = here.documents.put(document())
    route = await here.resolver.resolve_draft("draft.v1.acme.shop.run", DraftExecutionRequest("acme", digest))
    assert (route.version, route.connection, route.hold.target.draft) == ("draft", None, True)


@pytest.mark.parametrize(
    ("subject", "code"),
    [("draft.v1.acme.other.run", "invalid-request"), ("draft.v1.acme.shop.rum", "unknown-operation")],
)
async def test_a_draft_is_held_to_its_subject(world: Callable[..., World], subject: str, code: str) -> None:
    here = world()
    digest = here.documents.put(document())
    with pytest.raises(DibopError) as caught:
        await here.resolver.resolve_draft(subject, DraftExecutionRequest("acme", digest))
    assert caught.value.code == code
