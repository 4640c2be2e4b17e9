"""Limits, circuits and retries: what holds across every worker, and what each worker adds of its own."""
