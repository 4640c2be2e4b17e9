"""httpbin beside the other locked packages.

Releases of httpbin after 0.10.0 want a greenlet older than SQLAlchemy's; 0.10.0 wants a function that
Werkzeug 3 has under another name.
"""

from __future__ import annotations

import werkzeug.http
from werkzeug.datastructures import Authorization

setattr(werkzeug.http, "parse_authorization_header", Authorization.from_header)  # noqa: B010  # the module lacks it

from httpbin import app  # noqa: E402

__all__ = ["app"]
