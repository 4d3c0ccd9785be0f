"""What every state machine of a backfill does beside what people write."""

from collections.abc import Iterator

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from ragkit.embedding.embedder import Embedder
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration


class Backfilling(RuleBasedStateMachine):
    """Its backfill goes on by a few batches at a time, and may be killed between any two."""

    migration: Migration
    embedder: Embedder
    backfill: Iterator | None = None

    @rule(steps=st.integers(1, 3))
    def run_batches(self, steps):
        self.backfill = self.backfill or run_backfill(self.migration, self.embedder)
        for _ in range(steps):
            if next(self.backfill, None) is None:
                self.backfill = None
                return

    @rule()
    def kill(self):
        if self.backfill:
            self.backfill.close()
        self.backfill = None

    def finish(self):
        """The last backfill, which nothing disturbs."""
        self.kill()
        list(run_backfill(self.migration, self.embedder))
