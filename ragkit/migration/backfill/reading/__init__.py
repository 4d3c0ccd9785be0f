"""What a backfill reads: the rows of ranges and of the queue."""
