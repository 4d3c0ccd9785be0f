"""Vectors that are too wide for an index, and what can be chosen instead."""
