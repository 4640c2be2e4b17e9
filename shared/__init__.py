"""What the services and the client share."""
