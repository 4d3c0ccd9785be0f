"""New vectors for chosen rows, by the backfill's own pipeline: its quota, budget and ledger hold,
refused texts become dead letters, and each vector lands in the new space."""

from collections.abc import Iterator, Sequence

from ragkit.embedding.embedder import Embedder
from ragkit.embedding.long_texts.embedder import for_rows
from ragkit.evaluation.bridge.rows import SampledRow
from ragkit.migration.backfill.filling import requests_in_flight, require_bound_space
from ragkit.migration.backfill.model_calls.in_flight import InFlight
from ragkit.migration.backfill.model_calls.metering import meter_requests
from ragkit.migration.backfill.reading.batches import Batch, Portion, RequestLimits
from ragkit.migration.backfill.stages import Pipeline
from ragkit.migration.backfill.throttle import throttle_for
from ragkit.migration.migration import Migration
from ragkit.migration.work.rows import Row


class Purchase:
    """Opened once for a sample."""

    def __init__(self, migration: Migration, embedder: Embedder):
        """Raises PhaseError before expand, SpaceMismatch or DatabaseError."""
        migration.require_phase("backfill")
        require_bound_space(migration, embedder)
        self._migration = migration
        metered = meter_requests(migration, embedder)
        self._model = for_rows(metered, migration.plan.new.long_texts)
        self._limits = RequestLimits.of(embedder.model, migration.plan.backfill.batch_size)
        self._at_once = requests_in_flight(migration, embedder)
        self._throttle = throttle_for(migration, None)

    def fill(self, rows: Sequence[SampledRow]) -> None:
        """Returns when each row has its vector, is a dead letter, or is left to the queue. Rows
        with the same text are paid for once.

        Raises ModelError, such as BudgetExceeded, when all that was answered is written, or
        DatabaseError.
        """
        in_flight = InFlight(self._at_once)
        with Pipeline(self._migration, self._model, in_flight, self._throttle) as pipeline:
            for _ in pipeline.run(self._batches(rows)):
                pass

    def _batches(self, rows: Sequence[SampledRow]) -> Iterator[Batch]:
        for start in range(0, len(rows), self._limits.texts):
            part = [Row(row.key, row.text) for row in rows[start : start + self._limits.texts]]
            yield Batch(Portion(len(part), bool), part, 0)
