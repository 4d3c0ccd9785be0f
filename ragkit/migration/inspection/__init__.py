"""What a migration will meet, before anything is changed: inventory, readiness, cost."""
