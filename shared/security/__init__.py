"""Sealing of credentials and the principals that commands carry."""
