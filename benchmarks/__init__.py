"""Benchmarks: one executor beside the usual HTTP clients, on the same upstream, in the same run."""
