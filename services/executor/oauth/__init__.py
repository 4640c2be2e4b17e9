"""OAuth2: access tokens for connections, got from token endpoints, kept, renewed, and shared by all workers."""
