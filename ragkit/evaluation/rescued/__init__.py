"""What a rescued service is worth: its candidates, and its answers."""
