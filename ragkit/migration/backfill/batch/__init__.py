"""The backfill by a provider's batch API: jobs are prepared, submitted, and collected later."""
