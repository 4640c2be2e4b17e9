"""The console: the HTTP API and the web pages, a thin client of the other services."""
