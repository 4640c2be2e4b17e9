"""Images in `data:` URLs (RFC 2397)."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final, Literal
from urllib.parse import unquote_to_bytes

from shared.contracts.template.problems import one_of

ImageType = Literal["image/png", "image/svg+xml"]

IMAGE_TYPES: Final[dict[str, ImageType]] = {"image/png": "image/png", "image/svg+xml": "image/svg+xml"}
MAX_ICON_BYTES: Final = 256 * 1024
PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_DATA_URL: Final = re.compile(
    r"data:(?P<type>[^;,]*)(?P<parameters>(?:;[^;,]*)*),(?P<data>.*)\Z", re.DOTALL | re.IGNORECASE
)
_SVG_START: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?>(?>\s*<!--.*?-->)*\s*)(?:<!DOCTYPE\b|<svg[\s>/])", re.DOTALL
)
"""Atomic groups, since comments could be taken for one another in endlessly many ways."""


class IconError(ValueError):
    """An icon that is not taken: what is wrong, and how to mend it."""

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(f"{problem} {mend}")
        self.problem = problem
        self.mend = mend


def is_data_url(icon: str) -> bool:
    return icon[:5].lower() == "data:"


def read_image(icon: str) -> tuple[ImageType, bytes]:
    """Type and bytes of a `data:` URL that says PNG or SVG and begins like one; IconError for any other."""
    match = _DATA_URL.match(icon)
    kind = IMAGE_TYPES.get(match["type"].lower()) if match else None
    if match is None or kind is None:
        raise IconError("The icon is not a PNG or SVG image.", f"Use data:{one_of(sorted(IMAGE_TYPES))};base64,...")
    try:
        if match["parameters"].lower().endswith(";base64"):
            image = base64.b64decode("".join(match["data"].split()), validate=True)
        else:
            image = unquote_to_bytes(match["data"])
    except (binascii.Error, ValueError):
        raise IconError("The icon's base64 is broken.", "Encode the file again.") from None
    if len(image) > MAX_ICON_BYTES:
        raise IconError(
            f"The icon is {len(image):,} bytes large.", f"Make it at most {MAX_ICON_BYTES:,} bytes; 64x64 is enough."
        )
    if not _begins_like(kind, image):
        raise IconError(f"The icon is not what it says: {kind}.", "Correct the type, or encode the right file.")
    return kind, image


def data_url(kind: ImageType, image: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(image).decode()}"


def _begins_like(kind: ImageType, image: bytes) -> bool:
    if kind == "image/png":
        return image.startswith(PNG_SIGNATURE)
    return _SVG_START.match(image[:65_536]) is not None
