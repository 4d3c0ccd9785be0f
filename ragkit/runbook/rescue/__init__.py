"""The steps of a rescue, for the notebook and the command, and its file of figures."""
