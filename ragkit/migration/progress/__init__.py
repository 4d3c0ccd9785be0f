"""How far the new column is: row counts, completion, dead letters."""
