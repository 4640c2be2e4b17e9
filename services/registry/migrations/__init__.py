"""The registry's migrations: forward only."""
