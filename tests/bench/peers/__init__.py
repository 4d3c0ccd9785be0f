"""What the backfill is compared with: each is a script that prints one line of JSON."""
