"""Steering while it runs: what people set, and every worker reads within a second."""
