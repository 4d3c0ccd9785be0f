"""Partitioned tables, partition by partition."""
