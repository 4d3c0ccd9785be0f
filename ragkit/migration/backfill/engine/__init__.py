"""A backfill by several processes, on this machine or on many: units of work, and who runs them."""
