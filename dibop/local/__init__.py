"""The local stack: every part started on this machine, and stopped again."""
