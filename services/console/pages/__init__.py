"""The console's web pages: a frame that the server fills, and everything else over the HTTP API."""

from services.console.pages.routes import error_page, mount

__all__ = ["error_page", "mount"]
