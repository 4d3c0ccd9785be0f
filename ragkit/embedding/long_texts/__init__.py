"""Texts that are longer than a model takes: cut, or embedded in pieces."""
