from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.inspection.cost import estimate_cost
from ragkit.migration.schema.expansion import expand
from tests.conftest import TEXTS
from tests.migration.inspection.conftest import LONG_TEXT


def test_the_cost_covers_the_pending_rows(flawed, new_embedder):
    estimate = estimate_cost(flawed, new_embedder)
    assert (estimate.rows, estimate.requests) == (7, 1)
    assert estimate.tokens == -(-sum(map(len, [*TEXTS, LONG_TEXT])) // 4)
    expand(flawed)
    list(run_backfill(flawed, new_embedder))
    assert estimate_cost(flawed, new_embedder).rows == 0
