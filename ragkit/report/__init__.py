"""How results look in notebooks and reports: cards, tables, charts. Nothing is decided here."""
