"""The rules of publishing: what to test, what the gate asks, and which version a change makes. No I/O."""
