"""The authorization_code grant: a person's consent, a code that executors alone exchange, and tokens that last."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from services.executor.app import Executor
from services.executor.oauth import exchange as exchanging
from services.executor.settings import ExecutorSettings
from shared.contracts import subjects
from shared.contracts.commands import ExchangeCode, StagedDraft
from shared.contracts.errors import DibopError
from shared.contracts.execution import DraftExecutionRequest, SealedCredentials
from shared.messaging.replies import problem_bytes
from shared.security.authorization import PendingAuthorization
from shared.security.principals import Role
from shared.security.sealing import KeyRing, SealContext
from tests.integration.executor.world import ENTERPRISE, read
from tests.integration.oauth.people import REDIRECT, AuditLog, People, Person, browse, parameters
from tests.integration.oauth.world import OPERATIONS, OAuthBus, Registry
from tests.support.oauth_server import CLIENT_ID, CLIENT_SECRET, PERSON, PUBLIC_CLIENT_ID, OAuthServer
from tests.support.polling import eventually
from tests.support.servers import RedisServer
from tests.support.tokens import Tokens

REQUESTS = 50


@pytest.fixture
def people(bus: OAuthBus, tokens: Tokens) -> People:
    return People(bus, tokens)


@pytest.fixture
def kim(people: People) -> Person:
    return people.who("kim")


@pytest.fixture
async def audit(bus: OAuthBus) -> AuditLog:
    return await AuditLog.listen(bus)


@pytest.fixture
async def slug(bus: OAuthBus, registry: Registry, audit: AuditLog) -> str:
    """A connector with a connection that nobody has authorized yet."""
    return await bus.connector(grant_type="authorization_code", scopes="read write")


async def refused(asked: Awaitable[Any]) -> DibopError:
    with pytest.raises(DibopError) as caught:
        await asked
    return caught.value


async def test_a_consent_makes_the_connection_work_for_its_person(
    executor: Executor, bus: OAuthBus, server: OAuthServer, kim: Person, audit: AuditLog, slug: str
) -> None:
    url, _ = await kim.begins(slug)
    answered = await kim.authorizes(slug)
    me = await bus.me(slug)
    generation, refresh_token = await bus.refresh_token(slug)

    asked = parameters(url)
    assert (asked["scope"], asked["redirect_uri"], asked["code_challenge_method"]) == ("read write", REDIRECT, "S256")
    assert answered.model_dump() == {
        "generation": 1, "scopes": "read write", "refreshable": True, "expires_at": None, "audit": "written",
    }  # fmt: skip
    assert me["person"] == PERSON
    assert [each.grant_type for each in server.asked()] == ["authorization_code"]
    assert (generation, bool(refresh_token)) == (1, True)
    assert [(entry.actor, entry.action) for entry in audit.entries if entry.action == "connection.authorize"] == [
        ("kim", "connection.authorize")
    ]
    assert refresh_token not in audit.entries[0].model_dump_json()


async def test_afterwards_the_refresh_token_is_used_once_however_many_want_a_token(
    start: Callable[..., Any], bus: OAuthBus, server: OAuthServer, kim: Person, slug: str
) -> None:
    for number in range(4):
        await start(worker=f"w{number}")
    await kim.authorizes(slug)
    _, first = await bus.refresh_token(slug)
    server.revoke()
    server.forget()

    answers = await asyncio.gather(*(bus.execute(slug, "me") for _ in range(REQUESTS)))

    assert Counter(answer["status_code"] for answer in answers) == {200: REQUESTS}
    assert [(each.grant_type, each.form["refresh_token"] == first) for each in server.asked()] == [
        ("refresh_token", True)
    ]
    assert (await bus.refresh_token(slug))[0] == 2


async def test_what_was_revoked_is_an_auth_error_until_it_is_authorized_again(
    executor: Executor, bus: OAuthBus, server: OAuthServer, kim: Person, slug: str
) -> None:
    identifier = (await bus.entry(slug)).id
    told = await bus.listen_to_health(identifier)
    await kim.authorizes(slug)
    await bus.me(slug)
    server.revoke(refresh=True)
    assert "Authorize the connection again" in (await bus.refused_soon(slug)).detail
    await bus.has_health(identifier, "auth_error")

    answered = await kim.authorizes(slug)
    me = await bus.me(slug)

    assert (answered.generation, me["person"]) == (2, PERSON)
    await bus.has_health(identifier, "healthy")
    await eventually(lambda: told[-2:] == [("healthy", "auth_error"), ("auth_error", "healthy")])


async def test_the_tokens_are_stored_before_anybody_uses_them(
    executor: Executor, bus: OAuthBus, registry: Registry, server: OAuthServer, kim: Person, slug: str
) -> None:
    seen: list[DibopError] = []

    async def use() -> None:
        seen.append(await bus.refused(slug, "me"))

    registry.before.append(use)
    await kim.authorizes(slug)

    assert ["is not authorized yet" in error.detail for error in seen] == [True]


async def test_a_refresh_that_comes_between_does_not_win_over_a_new_consent(
    executor: Executor, bus: OAuthBus, registry: Registry, server: OAuthServer, kim: Person, slug: str
) -> None:
    async def refreshed_meanwhile() -> None:
        await bus.authorize(slug, "of-the-old-authorization")

    registry.before.append(refreshed_meanwhile)
    answered = await kim.authorizes(slug)
    generation, refresh_token = await bus.refresh_token(slug)

    assert (answered.generation, generation) == (2, 2)
    assert refresh_token != "of-the-old-authorization"


async def test_a_code_is_good_once(
    executor: Executor, bus: OAuthBus, registry: Registry, kim: Person, slug: str
) -> None:
    command = await kim.consents(slug)
    await kim.sends(command)

    error = await refused(kim.sends(command))

    assert error.code == "credentials-rejected"
    assert "invalid_grant" in error.detail
    assert "Authorize again" in error.detail
    assert len(registry.stored) == 1
    assert (await bus.me(slug))["person"] == PERSON


def with_another_verifier(pending: PendingAuthorization) -> PendingAuthorization:
    return dataclasses.replace(pending, verifier="v" * 64)


def with_another_redirect(pending: PendingAuthorization) -> PendingAuthorization:
    return dataclasses.replace(pending, redirect_uri=f"{REDIRECT}/else")


@pytest.mark.parametrize("bend", [with_another_verifier, with_another_redirect])
async def test_the_server_holds_the_code_to_its_verifier_and_redirect_uri(
    executor: Executor,
    registry: Registry,
    kim: Person,
    slug: str,
    bend: Callable[[PendingAuthorization], PendingAuthorization],
) -> None:
    error = await refused(kim.sends(await kim.consents(slug, bend=bend)))

    assert (error.code, registry.stored) == ("credentials-rejected", [])
    assert "invalid_grant" in error.detail
    assert "Nothing was stored" in error.detail


async def test_a_code_without_its_verifier_is_not_exchanged(
    executor: Executor, server: OAuthServer, kim: Person, slug: str
) -> None:
    command = await kim.consents(slug, bend=lambda pending: dataclasses.replace(pending, verifier=None))

    error = await refused(kim.sends(command))

    assert (error.code, server.asked()) == ("invalid-request", [])
    assert "PKCE" in error.detail


@pytest.mark.parametrize(
    "change", [{"enterprise": "globex"}, {"owner": ENTERPRISE}, {"connector": "another"}, {"connection": "another"}]
)
async def test_a_code_that_was_sealed_for_something_else_is_not_opened(
    executor: Executor, server: OAuthServer, kim: Person, slug: str, change: dict[str, str]
) -> None:
    def bend(pending: PendingAuthorization) -> PendingAuthorization:
        return dataclasses.replace(pending, purpose=dataclasses.replace(pending.purpose, **change))

    error = await refused(kim.sends(await kim.consents(slug, bend=bend)))

    assert (error.code, server.asked()) == ("invalid-request", [])
    assert "Authorize again" in error.detail


async def test_a_code_for_the_connection_that_had_this_name_before_is_refused(
    executor: Executor, bus: OAuthBus, server: OAuthServer, kim: Person, slug: str
) -> None:
    command = await kim.consents(slug)
    await bus.disconnect(slug)
    await bus.connect(slug)

    error = await refused(kim.sends(command))

    assert (error.code, server.asked()) == ("conflict", [])


async def test_what_is_sealed_must_be_a_code(executor: Executor, bus: OAuthBus, kim: Person, slug: str) -> None:
    entry, key = await bus.entry(slug), bus.ring.sealing_key
    context = bus.token_context(entry).for_field("authorization_code")

    for text in ("", "c0de", "[]", '{"code":""}', '{"code":"c","verifier":"short"}', '{"code":"c","more":1}'):
        command = ExchangeCode(
            connector=slug, id=entry.id, redirect_uri=REDIRECT, kid=key.kid, sealed=key.seal(text, context)
        )
        error = await refused(kim.sends(command))
        assert error.code == "invalid-request"
        assert "no authorization code" in error.detail


@pytest.mark.parametrize(
    ("switches", "code", "said"),
    [
        ({"error": "invalid_client"}, "credentials-rejected", "client_secret"),
        ({"error": "redirect_uri_mismatch"}, "credentials-rejected", REDIRECT),
        ({"fault": "500"}, "upstream-unreachable", "status 500"),
        ({"fault": "html"}, "upstream-unreachable", "neither JSON nor a form"),
        ({"fault": "429"}, "rate-limited", "status 429"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
async def test_an_endpoint_that_gives_nothing_leaves_nothing(
    executor: Executor,
    bus: OAuthBus,
    registry: Registry,
    server: OAuthServer,
    kim: Person,
    slug: str,
    switches: dict[str, Any],
    code: str,
    said: str,
) -> None:
    command = await kim.consents(slug)
    server.switch(**switches)

    error = await refused(kim.sends(command))

    assert error.code == code
    assert said in error.detail
    assert CLIENT_SECRET not in error.detail
    assert (registry.stored, (await bus.entry(slug)).token) == ([], None)


async def test_a_client_without_a_secret_is_authorized_by_pkce_alone(
    executor: Executor, bus: OAuthBus, registry: Registry, audit: AuditLog, kim: Person, server: OAuthServer
) -> None:
    slug = await bus.connector(grant_type="authorization_code", connect=False)
    await bus.connect(slug, {}, {"client_id": PUBLIC_CLIENT_ID})
    url, pending = await kim.begins(slug)
    query = browse(url.replace(f"client_id={CLIENT_ID}", f"client_id={PUBLIC_CLIENT_ID}"))
    entry, key = await bus.entry(slug), bus.ring.sealing_key
    context = bus.token_context(entry).for_field("authorization_code")
    offer = json.dumps({"code": parameters(f"?{query}")["code"], "verifier": pending.verifier})

    await kim.sends(
        ExchangeCode(connector=slug, id=entry.id, redirect_uri=REDIRECT, kid=key.kid, sealed=key.seal(offer, context))
    )

    assert (await bus.me(slug))["client"] == PUBLIC_CLIENT_ID
    assert [each.client for each in server.asked()] == ["none"]


# ---- a server that gives no refresh token --------------------------------------------------------
async def test_an_access_token_that_comes_alone_outlives_redis_and_workers(
    settings: ExecutorSettings,
    start: Callable[..., Any],
    bus: OAuthBus,
    server: OAuthServer,
    kim: Person,
    slug: str,
    own_redis: RedisServer,
) -> None:
    first = Executor(settings.model_copy(update={"redis_url": own_redis.url}))
    await first.start()
    server.switch(lone=True)
    answered = await kim.authorizes(slug)
    assert (await bus.me(slug))["person"] == PERSON
    await first.drain_and_stop()
    own_redis.kill()
    own_redis.start()
    await start(redis_url=own_redis.url)

    assert (await bus.me(slug))["person"] == PERSON
    assert (answered.refreshable, answered.generation) == (False, 1)
    assert str(answered.expires_at) > "2026"
    assert [each.grant_type for each in server.asked()] == ["authorization_code"]


async def test_at_its_end_the_connection_is_an_auth_error_until_it_is_authorized_again(
    executor: Executor, bus: OAuthBus, server: OAuthServer, kim: Person, slug: str
) -> None:
    server.switch(lone=True, expires_in=2)
    await kim.authorizes(slug)
    assert (await bus.me(slug))["person"] == PERSON

    ended = await bus.refused_soon(slug)

    assert ended.code == "credentials-rejected"
    assert "has expired, and no refresh token came with it" in ended.detail
    assert "Authorize the connection again" in ended.detail
    await bus.has_health((await bus.entry(slug)).id, "auth_error")
    server.switch()
    await kim.authorizes(slug)
    assert (await bus.me(slug))["person"] == PERSON


async def test_one_that_states_no_end_is_used_until_the_system_ends_it(
    executor: Executor, bus: OAuthBus, server: OAuthServer, kim: Person, slug: str
) -> None:
    server.switch(lone=True, expires_in=None)
    answered = await kim.authorizes(slug)
    assert (await bus.me(slug))["person"] == PERSON
    server.revoke()

    answer = await bus.execute(slug, "me")

    assert answered.expires_at is None
    assert answer["status_code"] == 401
    assert [each.grant_type for each in server.asked()] == ["authorization_code"]


# ---- who may, and what if something is away ------------------------------------------------------
@pytest.mark.parametrize(
    ("role", "home"),
    [(Role.VIEWER, ENTERPRISE), (Role.SERVICE, ENTERPRISE), (Role.ENTERPRISE_ADMIN, "globex"),
     (Role.PLATFORM_ADMIN, "platform")],
)  # fmt: skip
async def test_others_may_not_authorize(
    executor: Executor, server: OAuthServer, kim: Person, people: People, slug: str, role: Role, home: str
) -> None:
    command = await kim.consents(slug)

    error = await refused(people.who("max", role, home=home).sends(command))

    assert (error.code, server.asked()) == ("forbidden", [])


async def test_a_connector_with_another_grant_has_nothing_to_authorize(
    executor: Executor, bus: OAuthBus, kim: Person, slug: str
) -> None:
    other = await bus.connector()
    command = await kim.consents(slug)

    error = await refused(kim.sends(command.model_copy(update={"connector": other, "id": (await bus.entry(other)).id})))

    assert error.code == "invalid-request"
    assert "nothing to authorize" in error.detail


async def test_a_registry_that_is_away_gets_the_tokens_later(
    executor: Executor,
    bus: OAuthBus,
    registry: Registry,
    kim: Person,
    slug: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchanging, "STORE_SECONDS", 0.2)
    registry.silent = True

    error = await refused(kim.authorizes(slug))
    registry.silent = False

    assert error.code == "overloaded"
    assert "dibop connection show" in error.detail
    await eventually(lambda: bool(registry.stored), 20)
    await eventually(lambda: bus.works(slug))


# ---- tests of drafts -----------------------------------------------------------------------------
class Session:
    """A test session of a draft that the registry has: its credentials, and the consent for them."""

    def __init__(self, bus: OAuthBus, slug: str, digest: str) -> None:
        self.bus = bus
        self.slug = slug
        self.digest = digest
        given = bus.test_credentials(slug, {"client_secret": CLIENT_SECRET})
        self.credentials = msgspec.structs.replace(given, values={"client_id": CLIENT_ID})

    @classmethod
    async def of_a_draft(cls, bus: OAuthBus) -> Session:
        slug = await bus.connector(grant_type="authorization_code", scopes="read")
        digest = await bus.store(slug, *OPERATIONS, **bus.auth({"grant_type": "authorization_code", "scopes": "read"}))
        session = cls(bus, slug, digest)
        await bus.nc.subscribe(subjects.registry(ENTERPRISE, "draft", "stage"), cb=session.stage)
        await bus.nc.flush()
        return session

    async def stage(self, message: Any) -> None:
        if json.loads(message.data)["slug"] != self.slug:
            body, headers = problem_bytes(DibopError("not-found", "There is no such draft."), "request")
            await self.bus.nc.publish(message.reply, body, headers=headers)
            return
        staged = StagedDraft(
            slug=self.slug, owner=ENTERPRISE, revision=1, digest=self.digest, document={}, operations={}
        )
        await message.respond(staged.model_dump_json().encode())

    async def code(self, person: Person, **changes: Any) -> dict[str, Any]:
        """The body of the command that has it exchanged."""
        url, pending = await person.begins(self.slug)
        given, key = self.credentials, self.bus.ring.sealing_key
        context = SealContext("token", ENTERPRISE, ENTERPRISE, self.slug, given.id, given.origin, "authorization_code")
        offer = json.dumps({"code": parameters(f"?{browse(url)}")["code"], "verifier": pending.verifier})
        return {
            "connector": self.slug,
            "credentials": msgspec.structs.asdict(given),
            "redirect_uri": REDIRECT,
            "kid": key.kid,
            "sealed": key.seal(offer, context),
            **changes,
        }

    async def run(self, credentials: dict[str, Any]) -> dict[str, Any]:
        given = msgspec.convert(credentials, SealedCredentials)
        body = DraftExecutionRequest(owner=ENTERPRISE, digest=self.digest, credentials=given)
        return read(await self.bus.raw(subjects.draft_execute(ENTERPRISE, self.slug, "me"), msgspec.json.encode(body)))


@pytest.fixture
async def session(bus: OAuthBus) -> Session:
    return await Session.of_a_draft(bus)


@pytest.fixture
def author(people: People) -> Person:
    return people.who("ada", Role.ENTERPRISE_ADMIN_SDK)


@pytest.mark.parametrize("lone", [False, True])
async def test_a_test_session_gets_what_a_consent_brings_sealed_for_it(
    start: Callable[..., Any], server: OAuthServer, session: Session, author: Person, lone: bool
) -> None:
    for number in range(2):
        await start(worker=f"w{number}")
    server.switch(lone=lone)

    answered = json.loads(await author.asks("exchange-test", await session.code(author)))
    answers = [await session.run(answered["credentials"]) for _ in range(4)]

    assert [answer["response"]["person"] for answer in answers] == [PERSON] * 4
    added = set(answered["credentials"]["sealed"]) - {"client_secret"}
    assert added == {"access_token" if lone else "refresh_token"}
    assert answered["refreshable"] is not lone
    assert [each.grant_type for each in server.asked()] == ["authorization_code"]


async def test_its_tokens_are_for_this_session_alone(
    executor: Executor, bus: OAuthBus, server: OAuthServer, session: Session, author: Person
) -> None:
    answered = json.loads(await author.asks("exchange-test", await session.code(author)))
    ring: KeyRing = bus.ring
    given = answered["credentials"]
    context = SealContext("test", ENTERPRISE, ENTERPRISE, session.slug, given["id"], given["origin"], "refresh_token")
    refresh_token = ring.open(given["sealed"]["refresh_token"], context, given["kid"])

    assert refresh_token
    for change in ({"connection": "another"}, {"use": "token"}, {"enterprise": "globex"}, {"field": "access_token"}):
        with pytest.raises(DibopError):
            ring.open(given["sealed"]["refresh_token"], dataclasses.replace(context, **change), given["kid"])  # type: ignore[arg-type]  # a table's texts


async def test_a_session_renews_its_tokens(
    executor: Executor, server: OAuthServer, session: Session, author: Person
) -> None:
    answered = json.loads(await author.asks("exchange-test", await session.code(author)))
    for _ in range(3):
        server.revoke()
        assert (await session.run(answered["credentials"]))["response"]["person"] == PERSON

    assert [each.status for each in server.asked()] == [200] * 4


async def test_only_who_may_test_the_draft_may_authorize_its_test(
    executor: Executor, server: OAuthServer, session: Session, author: Person, kim: Person
) -> None:
    command = await session.code(author)

    by_an_integrator = await refused(kim.asks("exchange-test", command))
    of_another_draft = await refused(author.asks("exchange-test", {**command, "connector": "another"}))

    assert (by_an_integrator.code, of_another_draft.code) == ("forbidden", "not-found")
    assert server.asked() == []
