"""From a database that nobody has described yet to a params file."""
