"""What a backfill writes: vectors, beside the texts that they were made from."""
