"""The steps of a rehearsal, and its file of figures."""
