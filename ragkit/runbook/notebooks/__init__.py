"""Executed notebooks: a run of one table, and the probe beside it."""
