"""A small weather API to try connectors on: invented, steady weather for a few cities."""
