"""A rehearsal: the whole migration on a copy of some rows, in a schema of its own, before it."""
