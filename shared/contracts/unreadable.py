"""What reading JSON can raise that anybody may have written."""

from __future__ import annotations

from typing import Final

import msgspec

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""msgspec's own errors do not cover text that is no UTF-8, nor nesting without end."""
