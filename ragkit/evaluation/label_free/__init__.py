"""Evidence that needs no judgements: stored vectors, the index, storage, the shadow log."""
