"""NATS users: who may do what on the bus, and the keys, JWTs and server configuration that make it so."""
