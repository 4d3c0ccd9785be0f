"""The plan's models: their keys, and what a deployed function needs to call them."""
