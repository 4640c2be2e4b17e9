"""The bus: connections, commands, events, projections, and what NATS and FastStream leave to their users."""
