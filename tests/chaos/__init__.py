"""The chaos proof: a migration under steady traffic with a fault in every phase (make chaos)."""
