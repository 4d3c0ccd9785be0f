"""Embedding services on loopback, each with its own wire format and the same faults."""
