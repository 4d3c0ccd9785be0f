"""What of a row is its key, its text, and whether it is migrated at all."""
