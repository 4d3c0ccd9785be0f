"""A params file of several tables: one app, one budget, one switch, and a plan for each table."""
