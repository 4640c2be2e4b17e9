"""The publisher's migrations: forward only."""
