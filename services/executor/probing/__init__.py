"""Probing: is the external system there, and does it take the credentials?

A probe sends one request, through the very sender and transport of executions: egress guard, checked addresses, TLS
settings, client certificate, time limit, bulkhead. What is its own:

- the connection is opened for it, and each step of that is timed (`watching`);
- it counts against the connection's rate limit, since the external system counts it too, but not against the circuit,
  neither way: people look, again and again, and none of it shall open or close what executions live by. So it has a
  scope without a circuit (`resilience.scopes.probe_hold`), and goes out while the circuit is open as well;
- during a cooldown that the external system has asked for, nothing is sent;
- nothing is repeated, except once with a renewed access token.

The request is the operation with `health_check`, with its sample values, where it may be repeated; else a GET of the
base URL, with the credentials. `steps` says what each outcome means.
"""

from services.executor.probing.prober import Probe, Prober
from services.executor.probing.steps import cause_of

__all__ = ["Probe", "Prober", "cause_of"]
