"""Slugs made from names."""

from __future__ import annotations

import re
import unicodedata


def slugify(name: str) -> str:
    """A slug for `name`: accents dropped, everything else than a-z and 0-9 a hyphen, at most 63 characters.

    Empty where the name holds no letter a-z to start with; then the author must write a slug.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-").lstrip("0123456789-")[:63].rstrip("-")
