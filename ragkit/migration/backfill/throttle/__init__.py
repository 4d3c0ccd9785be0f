"""The backfill slows down when the app or a standby suffers, and says when and why."""

from ragkit.migration.backfill.throttle.throttle import Throttle, throttle_for

__all__ = ["Throttle", "throttle_for"]
