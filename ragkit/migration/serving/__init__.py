"""Which model the app serves: told by its answers, or by the operator."""
