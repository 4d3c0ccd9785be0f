"""What moves embeddings: expand, backfill, compare, cut over, retire, and the way back."""
