"""The registry's rules, without I/O."""
