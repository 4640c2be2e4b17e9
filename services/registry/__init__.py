"""The registry: owns drafts, published versions, connections and the audit log."""
