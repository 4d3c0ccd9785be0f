"""The parameters of a migration: sections, loading, faults, reference."""

from ragkit.migration.plan.plan import Plan

__all__ = ["Plan"]
