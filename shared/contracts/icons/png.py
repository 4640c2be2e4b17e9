"""PNG icons: decoded once to see that they are whole, then reduced to the chunks that draw."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Final

from PIL import Image

from shared.contracts.template.data_urls import PNG_SIGNATURE, IconError

MAX_PIXELS_A_SIDE: Final = 1024
_KEPT: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"IDAT", b"IEND"})
"""Everything else (texts, colour profiles, animation, private chunks) is left out, and so is what follows the end."""
_MEND: Final = "Save the image as PNG again, and encode that file."


def clean_png(image: bytes) -> bytes:
    """The image without texts, profiles, animation and whatever follows its end; IconError for what is no whole PNG."""
    chunks = list(_chunks(image))
    _require_bounded(chunks)
    clean = PNG_SIGNATURE + b"".join(whole for kind, whole in chunks if kind in _KEPT)
    try:
        for check in (Image.Image.verify, Image.Image.load):
            with Image.open(io.BytesIO(clean), formats=["PNG"]) as opened:
                check(opened)
    except Exception as error:
        raise IconError("The PNG cannot be decoded.", _MEND) from error
    return clean


def _chunks(image: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and bytes of each chunk up to the end (PNG specification, section 5.3)."""
    place = len(PNG_SIGNATURE)
    while True:
        header = image[place : place + 8]
        if len(header) < 8:
            raise IconError("The PNG is cut off.", _MEND)
        length, kind = struct.unpack(">I4s", header)
        whole = image[place : place + 12 + length]
        if len(whole) < 12 + length:
            raise IconError("The PNG is cut off.", _MEND)
        yield kind, whole
        if kind == b"IEND":
            return
        place += len(whole)


def _require_bounded(chunks: list[tuple[bytes, bytes]]) -> None:
    """Before anything is decoded: a few bytes may say that they are gigabytes of pixels."""
    kind, header = chunks[0]
    kinds = [each for each, _ in chunks]
    if kind != b"IHDR" or len(header) != 25 or kinds.count(b"IHDR") != 1 or b"IDAT" not in kinds:
        raise IconError("The PNG cannot be decoded.", _MEND)
    width, height = struct.unpack(">II", header[8:16])
    if not (0 < width <= MAX_PIXELS_A_SIDE and 0 < height <= MAX_PIXELS_A_SIDE):
        raise IconError(
            f"The icon is {width:,} x {height:,} pixels large.",
            f"Make it at most {MAX_PIXELS_A_SIDE:,} a side; 64x64 is enough.",
        )
