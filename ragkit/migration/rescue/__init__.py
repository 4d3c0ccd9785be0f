"""The rescue of a service whose old model is gone: prepared before the backfill, ended after it."""
