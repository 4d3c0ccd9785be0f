"""Compares old and new retrieval, and decides the gates of the verdict."""
