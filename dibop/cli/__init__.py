"""The command `dibop`."""
