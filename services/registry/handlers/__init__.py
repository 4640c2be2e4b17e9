"""Use cases: plain async functions of typed arguments; storage and bus come in as ports."""
