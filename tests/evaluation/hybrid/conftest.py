import pytest

from ragkit.evaluation.questions import read_questions
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.sandbox.sample import DATA, QUESTIONS, sample_rows
from tests.conftest import embedder_of, make_plan, make_table


@pytest.fixture(scope="session")
def judged():
    return read_questions(QUESTIONS, DATA / "qrels.tsv")


@pytest.fixture
def old():
    return embedder_of("wordllama-256")


@pytest.fixture
def new():
    return embedder_of("wordllama-64")


@pytest.fixture
def sample(engine, new, restored):
    """The shipped sample, in a column with an index."""
    plan = make_plan({"new.model": new.model.name, "evaluation.k": 10})
    restored("the sample with an index", lambda: make_sample(engine, plan, new))
    return Migration.open(plan, engine)


def make_sample(engine, plan, new):
    make_table(engine, plan, [row["content"] for row in sample_rows()])
    migration = Migration.open(plan, engine)
    expand(migration)
    list(run_backfill(migration, new))
    index.build(migration)
