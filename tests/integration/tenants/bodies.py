"""What a tenant may send to name another's things: bodies of every command of every service.

A command without a row here fails `test_every_command_is_tried`: give it bodies that name what it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from shared.contracts.clock import utc_now
from tests.integration.tenants.world import Things
from tests.support.connectors import document

Body = dict[str, Any]
Bodies = Callable[[Things], list[Body]]

_SEALED: Final = "A" * 80
"""As long as a sealed value; who opens it will find that it is none."""


def _given(t: Things) -> Body:
    return {
        "connector": t.slug,
        "id": t.connection_id,
        "origin": "https://api.example.com:443",
        "kid": t.kid,
        "sealed": {"api_key": _SEALED},
    }


def _code(t: Things) -> Body:
    return {"connector": t.slug, "redirect_uri": "http://127.0.0.1:1/callback", "kid": t.kid, "sealed": _SEALED}


def _entry(t: Things) -> Body:
    return {
        "id": t.publication_id,
        "at": utc_now(),
        "actor": t.person,
        "action": "connector.publish",
        "noun": "connector",
        "identifier": t.slug,
    }


REGISTRY: Final[Mapping[str, Bodies]] = {
    "draft.save": lambda t: [
        {"slug": t.slug, "document": document(t.slug), "base_revision": 1},
        {"slug": t.slug, "document": document(t.slug)},
    ],
    "draft.patch": lambda t: [
        {"slug": t.slug, "patch": {"description": "Taken over."}, "base_revision": base} for base in (1, 2)
    ],
    "draft.get": lambda t: [{"slug": t.slug}, {"slug": t.slug, "revision": 1}],
    "draft.history": lambda t: [{"slug": t.slug}, {"slug": t.slug, "before": 2}],
    "draft.restore": lambda t: [{"slug": t.slug, "revision": 1, "base_revision": 1}],
    "draft.discard": lambda t: [{"slug": t.slug, "base_revision": 1}],
    "draft.stage": lambda t: [{"slug": t.slug}],
    "connector.list": lambda t: [{}, {"search": t.slug}, {"after": t.slug}],
    "connector.show": lambda t: [{"slug": t.slug}],
    "connector.duplicate": lambda t: [
        {"slug": t.slug, "new_slug": "a-copy"},
        {"slug": t.slug, "new_slug": "a-copy", "version": t.version},
    ],
    "connector.delete": lambda t: [{"slug": t.slug, "base_revision": 1}],
    "version.get": lambda t: [{"slug": t.slug}, {"slug": t.slug, "version": t.version}],
    "version.add": lambda t: [
        {
            "publication_id": t.publication_id,
            "slug": t.slug,
            "version": version,
            "digest": t.digest,
            "scope": "enterprise",
            "revision": 1,
            "actor": t.person,
        }
        for version in (t.version, "9.9.9")
    ],
    "version.set-state": lambda t: [
        {"move_id": t.publication_id, "slug": t.slug, "versions": [t.version], "state": state, "actor": t.person}
        for state in ("deprecated", "unpublished", "retired")
    ],
    "connection.create": lambda t: [
        {**_given(t), "owner": t.owner, "name": t.connection},
        {**_given(t), "owner": "platform", "name": t.connection},
    ],
    "connection.list": lambda t: [{}, {"connector": t.slug}, {"after": f"{t.slug}.{t.connection}"}],
    "connection.show": lambda t: [{"connector": t.slug, "name": t.connection}],
    "connection.rotate": lambda t: [{**_given(t), "name": t.connection}],
    "connection.update": lambda t: [
        {"connector": t.slug, "name": t.connection, "generation": 1, "version_policy": "^2"},
        {"connector": t.slug, "name": t.connection, "generation": 1, "default": True},
    ],
    "connection.consent": lambda t: [
        {**_given(t), "name": t.connection, "generation": 1, "version": t.version, "actor": t.person}
    ],
    "connection.store-token": lambda t: [
        {
            "connector": t.slug,
            "name": t.connection,
            "id": t.connection_id,
            "expected": 0,
            "kid": t.kid,
            "sealed": _SEALED,
        }
    ],
    "connection.reseal": lambda t: [
        {
            "connector": t.slug,
            "name": t.connection,
            "id": t.connection_id,
            "generation": 1,
            "kid": t.kid,
            "sealed": {"api_key": _SEALED},
        }
    ],
    "connection.delete": lambda t: [{"connector": t.slug, "name": t.connection}],
    "test-credentials.save": lambda t: [{**_given(t), "id": t.session_id}],
    "test-credentials.list": lambda t: [{}, {"connector": t.slug}],
    "test-credentials.delete": lambda t: [{"id": t.session_id}],
    "test-credentials.fetch": lambda t: [{"id": t.session_id, "person": t.person, "connector": t.slug}],
    "consumer.create": lambda t: [{"name": t.consumer}, {"name": t.consumer, "pattern": "connection.*.created"}],
    "consumer.list": lambda t: [{}, {"name": t.consumer}],
    "consumer.delete": lambda t: [{"name": t.consumer}],
    "enterprise.list": lambda t: [{}, {"after": t.owner[:-1]}],
    "enterprise.show": lambda t: [{"id": t.owner}],
    "enterprise.change": lambda t: [
        {"id": t.owner, "what": "suspended"},
        {"id": t.owner, "what": "sdk_access_changed", "sdk_access": False},
    ],
    "keys.list": lambda _: [{}],
    "keys.rotated": lambda t: [{"kid": t.kid, "previous": t.kid}],
    "keys.retire": lambda t: [{"kid": t.kid, "forget_test_credentials": True}],
    "audit.list": lambda t: [
        {},
        {"before": t.audit_id + 1},
        {"noun": "connector", "identifier": t.slug},
        {"noun": "connection", "identifier": f"{t.slug}.{t.connection}"},
    ],
    "call.list": lambda t: [{}, {"connector": t.slug}, {"outcome": "error"}],
    "projection.check": lambda t: [{"part": "connections"}, {"part": "catalogue", "after": f"row:{t.slug}"}],
    "projection.rebuild": lambda t: [{"part": "connections"}],
    "audit.append": lambda t: [_entry(t)],
}

PUBLISHER: Final[Mapping[str, Bodies]] = {
    "test.plan": lambda t: [{"slug": t.slug}, {"slug": t.slug, "operations": [t.operation]}],
    "test.start": lambda t: [
        {"slug": t.slug},
        {"slug": t.slug, "operations": [t.operation], "credentials_id": t.session_id},
    ],
    "test.show": lambda t: [{"run_id": t.run_id}],
    "test.list": lambda t: [{"slug": t.slug}],
    "test.cancel": lambda t: [{"run_id": t.run_id}],
    "connector.checklist": lambda t: [{"slug": t.slug, "scope": "enterprise"}, {"slug": t.slug, "scope": "catalogue"}],
    "connector.publish": lambda t: [{"slug": t.slug, "scope": "enterprise"}, {"slug": t.slug, "scope": "catalogue"}],
    "connector.rollback": lambda t: [{"slug": t.slug, "version": t.version}],
    "connector.deprecate": lambda t: [{"slug": t.slug}, {"slug": t.slug, "version": t.version, "successor": t.slug}],
    "connector.unpublish": lambda t: [{"slug": t.slug}, {"slug": t.slug, "version": t.version}],
    "connector.retire": lambda t: [{"slug": t.slug}, {"slug": t.slug, "version": t.version}],
    "review.list": lambda t: [{}, {"slug": t.slug}],
    "review.show": lambda t: [{"id": t.review_id}],
    "review.comment": lambda t: [{"id": t.review_id, "text": "Mine."}],
    "review.approve": lambda t: [{"id": t.review_id}],
    "review.reject": lambda t: [{"id": t.review_id, "comment": "No."}],
    "connector.diff": lambda t: [{"slug": t.slug}, {"slug": t.slug, "before": t.version, "after": t.version}],
}

EXECUTOR: Final[Mapping[str, Bodies]] = {
    "circuit.show": lambda t: [
        {"connector": t.slug},
        {"connector": t.slug, "connection": t.connection, "operation": t.operation},
    ],
    "circuit.reset": lambda t: [{"connector": t.slug}, {"connector": t.slug, "connection": t.connection}],
    "connection.consent": lambda t: [{"connector": t.slug, "connection": t.connection, "version": t.version}],
    "connection.ping": lambda t: [{"connector": t.slug}, {"connector": t.slug, "connection": t.connection}],
    "draft.probe": lambda t: [
        {"owner": t.owner, "slug": t.slug, "digest": t.digest},
        {"owner": "platform", "slug": t.slug, "digest": t.digest},
    ],
    "keys.show": lambda _: [{}],
    "keys.reseal": lambda t: [{"kid": t.kid}],
    "oauth.exchange": lambda t: [
        {"connection": t.connection, "id": t.connection_id, **_code(t)},
        {"id": t.connection_id, **_code(t)},
    ],
    "oauth.exchange-test": lambda t: [
        {
            "credentials": {"id": t.session_id, "origin": "https://api.example.com:443", "kid": t.kid},
            **_code(t),
        }
    ],
}

BODIES: Final[Mapping[str, Mapping[str, Bodies]]] = {
    "registry": REGISTRY,
    "publisher": PUBLISHER,
    "executor": EXECUTOR,
}
