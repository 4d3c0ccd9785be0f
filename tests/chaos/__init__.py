"""The chaos proof: a migration under steady traffic with faults in every phase (make chaos)."""
