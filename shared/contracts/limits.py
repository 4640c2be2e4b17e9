"""Limits on what may be sent to us and through us, where no contract names them. docs/reference/limits.md lists all."""

from __future__ import annotations

from typing import Final

MAX_EXTRA_HEADERS: Final = 100
"""Headers that a caller adds to one request."""
MAX_URL_CHARACTERS: Final = 32 * 1024
"""A request's URL, encoded. Servers commonly take 8 KiB."""
MAX_HEAD_CHARACTERS: Final = 64 * 1024
"""All headers of a request together, names and values."""
MAX_IDEMPOTENCY_KEY_CHARACTERS: Final = 255
MAX_CREDENTIAL_CHARACTERS: Final = 64 * 1024
"""One field of a connection's credentials, before it is sealed; a certificate with its chain fits."""
MAX_FIELDS: Final = 50
"""Fields of a credential schema, and values that a connection brings."""
MAX_SEALED_CHARACTERS: Final = 96 * 1024
"""One sealed field, in base64."""
MAX_NAME_CHARACTERS: Final = 256
"""A name in a command that is looked for or compared: a version, a cursor, an operation."""
MAX_NAMES: Final = 10_000
"""Operations that one command names."""
MAX_REVISION: Final = 2**31 - 1
"""The databases count no further."""
