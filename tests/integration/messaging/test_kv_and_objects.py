"""Projections: the mirror of a bucket, writes that never go back, and documents by digest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from nats.js import JetStreamContext

from shared.messaging.bootstrap import bootstrap, key_value_stream
from shared.messaging.connection import BusClient
from shared.messaging.kv import KvMirror, put_if_newer
from shared.messaging.objects import DamagedDocumentError, Documents, digest_of
from tests.support.polling import eventually


class Entry(msgspec.Struct, frozen=True):
    generation: int
    text: str = ""


decode = msgspec.json.Decoder(Entry).decode


def generation_of(value: bytes) -> int:
    return decode(value).generation


@pytest.fixture
async def mirror(nc: BusClient, js: JetStreamContext) -> AsyncIterator[KvMirror[Entry]]:
    kv = await js.key_value("catalogue")
    await kv.put("platform.weather", b'{"generation": 1}')
    await kv.put("acme.mail", b'{"generation": 2}')
    mirror = KvMirror(nc, "catalogue", decode)
    await mirror.start()
    yield mirror
    await mirror.stop()


async def test_a_mirror_has_everything_when_it_has_started(mirror: KvMirror[Entry]) -> None:
    assert mirror.get("platform.weather") == Entry(1)
    assert dict(mirror.under("acme.")) == {"acme.mail": Entry(2)}
    assert mirror.get("acme.absent") is None


async def test_a_mirror_of_an_empty_bucket_starts(nc: BusClient, js: JetStreamContext) -> None:
    mirror = KvMirror(nc, "connections", decode)
    await mirror.start()

    assert len(mirror) == 0
    await (await js.key_value("connections")).put("a.b.c", b'{"generation": 1}')
    await eventually(lambda: mirror.get("a.b.c"))
    await mirror.stop()


async def test_a_mirror_follows_changes_and_deletions(mirror: KvMirror[Entry], js: JetStreamContext) -> None:
    kv = await js.key_value("catalogue")
    await kv.put("acme.mail", b'{"generation": 3}')
    await kv.delete("platform.weather")

    await eventually(lambda: mirror.get("acme.mail") == Entry(3) and mirror.get("platform.weather") is None)


async def test_an_entry_that_cannot_be_read_is_left_out_and_the_mirror_goes_on(
    mirror: KvMirror[Entry], js: JetStreamContext
) -> None:
    kv = await js.key_value("catalogue")
    await kv.put("acme.mail", b"not json")
    await kv.put("acme.next", b'{"generation": 1}')

    await eventually(lambda: mirror.get("acme.next"))
    assert mirror.get("acme.mail") is None


async def test_a_fetch_reads_through_and_remembers_no_absence(mirror: KvMirror[Entry], js: JetStreamContext) -> None:
    assert await mirror.fetch("acme.new") is None

    await (await js.key_value("catalogue")).put("acme.new", b'{"generation": 1}')

    assert await mirror.fetch("acme.new") == Entry(1)


async def test_a_bucket_that_was_made_anew_is_read_anew(nc: BusClient, js: JetStreamContext) -> None:
    kv = await js.key_value("catalogue")
    for key in ("acme.goes", "acme.changes", "acme.stays"):
        await kv.put(key, b'{"generation": 5}')
    changes: list[str] = []
    mirror = KvMirror(nc, "catalogue", decode, on_change=lambda key, _: changes.append(key), check_seconds=0.05)
    await mirror.start()

    await js.delete_stream(key_value_stream("catalogue"))
    await bootstrap(js)
    await kv.put("acme.changes", b'{"generation": 6}')
    await kv.put("acme.stays", b'{"generation": 5}')

    await eventually(lambda: mirror.get("acme.changes") == Entry(6))
    assert dict(mirror.under("acme.")) == {"acme.changes": Entry(6), "acme.stays": Entry(5)}
    await kv.put("acme.comes", b'{"generation": 1}')
    await eventually(lambda: mirror.get("acme.comes"))
    await mirror.stop()


async def test_a_watch_that_tells_nothing_any_more_is_replaced(
    nc: BusClient, js: JetStreamContext, mirror: KvMirror[Entry]
) -> None:
    checked = KvMirror(nc, "catalogue", decode, check_seconds=0.05)
    await checked.start()
    names = {info.name for info in await js.consumers_info("KV_catalogue")}
    for name in names:
        await js.delete_consumer("KV_catalogue", name)

    await (await js.key_value("catalogue")).put("acme.mail", b'{"generation": 3}')

    await eventually(lambda: checked.get("acme.mail") == Entry(3), timeout=5)
    assert mirror.get("acme.mail") == Entry(2)
    await checked.stop()


async def test_looks_at_a_bucket_that_is_followed_well_disturb_nothing(
    nc: BusClient, js: JetStreamContext, caplog: pytest.LogCaptureFixture
) -> None:
    kv = await js.key_value("catalogue")
    mirror = KvMirror(nc, "catalogue", decode, check_seconds=0.01)
    await mirror.start()
    watch = mirror._watcher

    for number in range(200):
        await kv.put(f"acme.c{number % 7}", msgspec.json.encode(Entry(number)))
        await kv.delete("acme.c3")
    await eventually(lambda: mirror.get("acme.c4") == Entry(200 - 200 % 7 + 4 - 7))

    assert mirror._watcher is watch
    await mirror.stop()


async def test_ten_thousand_entries_are_mirrored(nc: BusClient, js: JetStreamContext) -> None:
    sending = [
        js.publish(f"$KV.connections.acme.c{number}.default", msgspec.json.encode(Entry(number)))
        for number in range(10_000)
    ]
    for start in range(0, len(sending), 500):
        await asyncio.gather(*sending[start : start + 500])
    mirror = KvMirror(nc, "connections", decode)

    await mirror.start()

    assert len(mirror) == 10_000
    await mirror.stop()


async def test_a_write_never_goes_back_to_an_older_generation(js: JetStreamContext) -> None:
    kv = await js.key_value("catalogue")

    async def put(generation: int, text: str = "") -> bool:
        return await put_if_newer(kv, "a.b", msgspec.json.encode(Entry(generation, text)), generation_of)

    assert await put(2, "second")
    assert not await put(1, "late")
    assert not await put(2, "again")
    assert await put(3, "third")
    assert decode((await kv.get("a.b")).value or b"") == Entry(3, "third")
    await kv.delete("a.b")
    assert await put(4)


@pytest.mark.parametrize("damaged", [b"no json", b"{}", b'{"generation": "\xff"}', b"[" * 5000])
async def test_an_entry_that_cannot_be_read_gives_way(js: JetStreamContext, damaged: bytes) -> None:
    kv = await js.key_value("catalogue")
    await kv.put("a.b", damaged)

    assert await put_if_newer(kv, "a.b", msgspec.json.encode(Entry(1)), generation_of)
    assert decode((await kv.get("a.b")).value or b"") == Entry(1)


async def test_of_many_writers_at_once_the_newest_wins(js: JetStreamContext) -> None:
    kv = await js.key_value("catalogue")

    await asyncio.gather(
        *(
            put_if_newer(kv, "a.c", msgspec.json.encode(Entry(n)), generation_of)
            for n in (3, 9, 1, 7, 10, 2, 8, 5, 4, 6)
        )
    )

    assert decode((await kv.get("a.c")).value or b"") == Entry(10)


async def test_a_document_is_stored_once_and_read_back(js: JetStreamContext) -> None:
    documents = Documents(js)
    large = b"x" * 300_000

    digest = await documents.put(large)
    messages = (await js.stream_info("OBJ_templates")).state.messages

    assert digest == digest_of(large)
    assert await documents.put(large) == digest
    assert (await js.stream_info("OBJ_templates")).state.messages == messages
    assert await documents.get(digest) == large
    assert await documents.get(digest_of(b"another")) is None


async def test_an_empty_document_is_a_document(js: JetStreamContext) -> None:
    documents = Documents(js)

    assert await documents.get(await documents.put(b"")) == b""


async def test_a_document_that_is_not_what_its_digest_says_is_refused(js: JetStreamContext) -> None:
    store = await js.object_store("templates")
    await store.put(digest_of(b"good"), b"evil")

    with pytest.raises(DamagedDocumentError):
        await Documents(js).get(digest_of(b"good"))
