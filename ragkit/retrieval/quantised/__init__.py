"""Search by an index of one bit a dimension."""
