"""Rows that may answer a question: by full text, the bridge and their vectors; and their order."""
