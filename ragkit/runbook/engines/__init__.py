"""The engines of a backfill by several processes, and what one of them does."""
