"""The publisher's use cases: plain functions of who asks, a command, and the ports they need."""
