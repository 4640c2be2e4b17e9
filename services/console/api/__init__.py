"""The HTTP API under `/api/v1`: every route is a command of another service, sent in the caller's name."""
