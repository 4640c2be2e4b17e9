"""Random lives of connectors: commands by random people against the real services, and a model that foretells all."""
