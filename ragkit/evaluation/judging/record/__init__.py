"""What is kept of judgements, read again, and given to others."""
