"""What those who watch a migration are told: /metrics, from what the database knows."""
