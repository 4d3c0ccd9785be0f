"""The model's side of the backfill: requests in flight, their faults, their cost, their answers."""
