"""One budget for all tables: before the backfill, and while it runs."""

import pytest

from ragkit.embedding.catalogue import find_model
from ragkit.embedding.providers.vertex import VertexEmbedder
from ragkit.errors import BudgetExceeded
from ragkit.migration.backfill.model_calls.costs import read_usd
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.plan.tables.load import plans_of
from ragkit.migration.preview.figures import measure
from ragkit.migration.preview.preview import make_preview
from ragkit.migration.schema.expansion import expand
from ragkit.migration.tables.costs import add_up
from tests.conftest import make_table
from tests.stand_ins.two_tables import two_tables
from tests.stand_ins.vertex import count_tokens

TEXTS = [f"Place {n} is a shop. " + "Wool jumpers. " * 400 for n in range(20)]


@pytest.fixture
def embedder(vertex):
    env = {"GCP_PROJECT_ID": "p", "VERTEX_ENDPOINT": vertex.address}
    return VertexEmbedder(find_model("text-embedding-005"), env)


@pytest.fixture
def migrations(engine, embedder):
    """The budget is enough for one and a half of the two tables."""
    cost = embedder.model.price(sum(map(count_tokens, TEXTS)))
    changes = {
        "new.model": embedder.model.name, "backfill.batch_size": 2,
        "backfill.budget_usd": 1.5 * cost,
    }  # fmt: skip
    plans = plans_of(two_tables(changes))
    for plan in plans:
        make_table(engine, plan, TEXTS)
    return [Migration.open(plan, engine) for plan in plans]


def test_the_plan_adds_up_what_all_tables_cost(migrations, embedder):
    previews = [make_preview(one, measure(one, embedder), []) for one in migrations]
    total = add_up(migrations, previews)
    assert total.rows == 2 * len(TEXTS)
    assert total.usd == pytest.approx(sum(p.figures.usd for p in previews), abs=1e-4)
    assert total.facts()["budget"] == f"${total.budget_usd:g}"
    finding = total.finding()
    assert (finding.rule, finding.severity) == ("RK034", "problem")
    assert "raise backfill.budget_usd" in finding.fix
    assert add_up(migrations[:1], previews[:1]).finding() is None
    expand(migrations[0])
    list(run_backfill(migrations[0], embedder))
    later = add_up(migrations[1:], previews[1:])
    assert later.spent_usd > 0
    assert later.finding() is not None


def test_one_budget_stops_the_second_table(migrations, embedder):
    for migration in migrations:
        expand(migration)
    first, second = migrations
    assert list(run_backfill(first, embedder))[-1].done == len(TEXTS)
    with pytest.raises(BudgetExceeded, match=r"for the other tables, \d+ rows of Policies have"):
        list(run_backfill(second, embedder))
    assert 0 < read_usd(second) < read_usd(first)
    spent = read_usd(second, with_siblings=True)
    assert read_usd(first) < spent <= first.plan.backfill.budget_usd
