"""PNG icons: decoded whole, reduced to what draws, bounded before anything is unpacked."""

from __future__ import annotations

import io
import struct

import pytest
from PIL import Image

from shared.contracts.icons import IconError, clean_png
from tests.unit.contracts.icons.images import SIGNATURE, chunk, claimed, gif, png, svg


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_the_image_stays_the_same(mode: str) -> None:
    clean = clean_png(png(mode=mode))

    with Image.open(io.BytesIO(clean)) as after, Image.open(io.BytesIO(png(mode=mode))) as before:
        assert after.tobytes() == before.tobytes()
    assert clean_png(clean) == clean


def test_texts_and_private_chunks_are_left_out() -> None:
    whole = png(text="planted")
    private = whole[:33] + chunk(b"prVt", b"planted") + chunk(b"eXIf", b"planted") + whole[33:]

    assert b"planted" in private
    assert clean_png(private) == clean_png(png())


@pytest.mark.parametrize("behind", [b"PK\x03\x04 a zip", b"<script>alert(1)</script>", svg("<g/>"), b"\0" * 1000])
def test_what_follows_the_end_is_left_out(behind: bytes) -> None:
    assert clean_png(png() + behind) == clean_png(png())


def test_the_largest_size_is_taken_and_one_more_is_not() -> None:
    clean_png(png(1024, 1024))

    with pytest.raises(IconError, match="1,025 x 1 pixels"):
        clean_png(png(1025, 1))


def broken(**edits: int) -> bytes:
    image = bytearray(png())
    for place, value in edits.items():
        image[int(place.removeprefix("at_"))] = value
    return bytes(image)


NO_DATA = SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)) + chunk(b"IEND", b"")

REFUSED = {
    "nothing behind the signature": (SIGNATURE, "cut off"),
    "GIF behind the signature": (SIGNATURE + gif(), "cut off"),
    "cut off in the data": (png()[:-30], "cut off"),
    "without its end": (png()[:-12], "cut off"),
    "cut off in the last chunk": (png()[:-1], "cut off"),
    "no pixels": (NO_DATA, "cannot be decoded"),
    "wrong checksum": (broken(at_30=1), "cannot be decoded"),
    "unknown colour type": (broken(at_25=9), "cannot be decoded"),
    "header not first": (SIGNATURE + chunk(b"IDAT", b"") + png()[8:], "cannot be decoded"),
    "two headers": (png()[:33] + png()[8:33] + png()[33:], "cannot be decoded"),
    "no width": (claimed(0, 8), "0 x 8 pixels"),
    "gigapixels": (claimed(100_000, 100_000), "100,000 x 100,000 pixels"),
    "2^31 wide": (claimed(2**31 - 1, 1), "pixels large"),
    "a chunk longer than the file": (SIGNATURE + b"\x7f\xff\xff\xffIHDR", "cut off"),
}


@pytest.mark.parametrize(("image", "says"), REFUSED.values(), ids=[name.replace(" ", "-") for name in REFUSED])
def test_what_is_no_whole_png_is_refused(image: bytes, says: str) -> None:
    with pytest.raises(IconError, match=says) as refused:
        clean_png(image)

    assert refused.value.mend
