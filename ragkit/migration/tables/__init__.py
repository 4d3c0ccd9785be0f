"""Several tables that one app searches: switched together."""
