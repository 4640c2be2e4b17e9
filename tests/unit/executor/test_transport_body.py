"""Content codings undone within bounds, however the bytes are cut."""

from __future__ import annotations

import gzip
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.transport.body import Body, BodyError

TEXT = b"a body that is worth compressing " * 200


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


def decoded(coding: str | None, data: bytes, *, step: int = 1 << 16, max_bytes: int = 1 << 20) -> bytes:
    body = Body(coding, max_bytes)
    for start in range(0, len(data), step):
        body.feed(data[start : start + step])
    return body.finish()


@pytest.mark.parametrize("step", [1, 2, 7, 1000, 1 << 16])
@pytest.mark.parametrize(
    ("coding", "data"),
    [
        (None, TEXT),
        ("identity", TEXT),
        ("gzip", gzip.compress(TEXT)),
        ("X-GZIP", gzip.compress(TEXT)),
        ("gzip", gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
        ("gzip", gzip.compress(TEXT) + bytes(8)),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", raw_deflate(TEXT)),
        ("deflate, gzip", gzip.compress(zlib.compress(TEXT))),
        ("gzip, identity, gzip", gzip.compress(gzip.compress(TEXT))),
    ],
)
def test_decoding_does_not_depend_on_where_the_bytes_are_cut(coding: str | None, data: bytes, step: int) -> None:
    assert decoded(coding, data, step=step) == TEXT


@given(data=st.binary(max_size=5000), step=st.integers(1, 4000), repeat=st.integers(1, 100))
def test_what_was_compressed_comes_back(data: bytes, step: int, repeat: int) -> None:
    whole = data * repeat
    assert decoded("gzip", gzip.compress(whole), step=step) == whole
    assert decoded("deflate", zlib.compress(whole), step=step) == whole


@pytest.mark.parametrize("coding", [None, "gzip", "deflate"])
def test_the_cap_counts_decoded_bytes_exactly(coding: str | None) -> None:
    data = {None: TEXT, "gzip": gzip.compress(TEXT), "deflate": zlib.compress(TEXT)}[coding]
    assert decoded(coding, data, max_bytes=len(TEXT)) == TEXT
    with pytest.raises(BodyError) as caught:
        decoded(coding, data, max_bytes=len(TEXT) - 1)
    assert caught.value.phase == "too_large"


def test_a_bomb_within_a_bomb_stops_at_the_cap() -> None:
    bomb = gzip.compress(gzip.compress(bytes(200_000_000), compresslevel=1))
    with pytest.raises(BodyError) as caught:
        decoded("gzip, gzip", bomb, max_bytes=100_000)
    assert caught.value.phase == "too_large"


def test_incompressible_data_of_the_cap_passes() -> None:
    noise = random.Random(1).randbytes(300_000)
    assert decoded("gzip", gzip.compress(noise, compresslevel=0), max_bytes=len(noise)) == noise


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_endless_empty_blocks_are_bounded(coding: str) -> None:
    empty_block = b"\x00\x00\x00\xff\xff"
    start = gzip.compress(b"")[:10] if coding == "gzip" else zlib.compress(b"")[:2]
    with pytest.raises(BodyError) as caught:
        decoded(coding, start + empty_block * 100_000, max_bytes=10_000)
    assert caught.value.phase == "too_large"


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        ("gzip", b"not gzip"),
        ("gzip", b"\x1f"),
        ("gzip", gzip.compress(TEXT)[:-1]),
        ("gzip", gzip.compress(TEXT)[:-8] + bytes(8)),
        ("gzip", gzip.compress(b"x") * 1000),
        ("gzip", gzip.compress(TEXT) + gzip.compress(TEXT)[:20]),
        ("deflate", b"\xff\xff\xff"),
        ("deflate", zlib.compress(TEXT)[:-1]),
        ("br", b"x"),
        ("gzip, zstd", b"x"),
        ("gzip, gzip, gzip, gzip", b"x"),
    ],
)
def test_what_cannot_be_decoded_is_said_to_be_so(coding: str, data: bytes) -> None:
    with pytest.raises(BodyError) as caught:
        decoded(coding, data)
    assert caught.value.phase == "decode"


@pytest.mark.parametrize("length", ["11", "99999999999999999999"])
def test_an_announced_length_over_the_cap_is_refused_at_once(length: str) -> None:
    with pytest.raises(BodyError):
        Body(None, 10).expect(length)


@pytest.mark.parametrize("length", [None, "10", "ten", ""])
def test_other_announcements_decide_nothing(length: str | None) -> None:
    Body(None, 10).expect(length)
