"""The side table of a migration: its table, the triggers that follow the app's, and its writes."""
