"""The migration itself: plan, expand, backfill, cut over, roll back, retire."""
