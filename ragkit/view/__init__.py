"""How results look: cards, tables and charts for notebooks and reports. Nothing is decided here."""
