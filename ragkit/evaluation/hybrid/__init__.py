"""Vectors and full text together: what an app that fuses both would show."""
