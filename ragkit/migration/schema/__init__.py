"""Changes to the live schema: the new column, its triggers, its index."""
