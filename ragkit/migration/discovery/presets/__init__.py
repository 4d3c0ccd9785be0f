"""The tables that frameworks make: how each is known, and how its app is cut over."""
