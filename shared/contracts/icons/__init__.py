"""Icons made safe: a PNG that can be decoded and is nothing but an image, an SVG that can only draw.

Whoever stores an icon cleans it first. This package imports Pillow and nh3, so import it where it is needed alone.
"""

from __future__ import annotations

from typing import Any

from shared.contracts.icons.png import clean_png
from shared.contracts.icons.svg import clean_svg
from shared.contracts.template.data_urls import IconError, data_url, is_data_url, read_image
from shared.contracts.template.problems import Problem

__all__ = ["IconError", "clean_icon", "clean_png", "clean_svg", "with_clean_icon"]


def clean_icon(icon: str) -> str:
    """A `data:` URL without anything that is not the image; IconError for what is no image or cannot be made safe.

    Cleaning a clean icon changes nothing.
    """
    kind, image = read_image(icon)
    return data_url(kind, clean_png(image) if kind == "image/png" else clean_svg(image))


def with_clean_icon(document: dict[str, Any]) -> tuple[dict[str, Any], Problem | None]:
    """The document with its icon cleaned, or as it is and what is wrong with the icon.

    The name of a file, and what is no text, is left to the rules of templates.
    """
    icon = document.get("icon")
    if not isinstance(icon, str) or not is_data_url(icon):
        return document, None
    try:
        return {**document, "icon": clean_icon(icon)}, None
    except IconError as error:
        return document, Problem("/icon", error.problem, error.mend)
