"""Checks of what the plan says: its models, and the way of the app to the new column."""
