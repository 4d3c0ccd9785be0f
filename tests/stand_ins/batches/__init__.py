"""Batch APIs on loopback, beside the same services' live APIs, with faults and a way to kill."""
