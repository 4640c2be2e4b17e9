"""The services, one package each. They meet on the bus and in `shared.contracts`, never by import."""
