"""A text that is in another table: its triggers, and what that table must be."""
