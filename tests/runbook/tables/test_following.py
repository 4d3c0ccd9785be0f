"""Several followers at once, on two real tables."""

import threading

import pytest
import sqlalchemy as sa

from ragkit.errors import ModelUnavailable
from ragkit.migration.backfill.follower import follow
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.plan.tables.load import plans_of
from ragkit.migration.schema.expansion import expand
from ragkit.runbook.tables.following import follow_together
from tests.conftest import TEXTS, make_table
from tests.stand_ins.two_tables import two_tables


@pytest.fixture
def migrations(database, new_embedder):
    """Filled; each with connections of its own."""
    engines, found = [], []
    for plan in plans_of(two_tables()):
        engines.append(sa.create_engine(database))
        make_table(engines[-1], plan, TEXTS)
        found.append(Migration.open(plan, engines[-1]))
        expand(found[-1])
        list(run_backfill(found[-1], new_embedder))
    yield found
    for engine in engines:
        engine.dispose()


def pending(migration):
    vector = migration.new_vector
    with migration.engine.connect() as connection:
        query = migration.select(sa.func.count()).where(vector.is_(None))
        return connection.scalar(query)


def test_what_is_written_to_any_table_gets_its_vector(migrations, new_embedder):
    stop = threading.Event()
    followers = {m.plan.name: follow(m, new_embedder, None, stop) for m in migrations}
    together = follow_together(followers, stop)
    seen = next(news for news in together if len(news.tables) == 2)
    assert seen.facts().keys() == {"Amenities", "Policies"}
    for migration in migrations:
        with migration.engine.begin() as connection:
            connection.execute(
                sa.update(migration.table).where(migration.key == 2).values(content="Another text.")
            )
    for _ in together:
        if not any(map(pending, migrations)):
            stop.set()
    assert [pending(migration) for migration in migrations] == [0, 0]


def test_an_error_of_one_ends_all_and_is_raised(migrations, new_embedder):
    stop = threading.Event()

    def failing():
        raise ModelUnavailable("the key is refused")
        yield

    healthy = follow(migrations[0], new_embedder, None, stop)
    with pytest.raises(ModelUnavailable, match="the key is refused"):
        list(follow_together({"a": healthy, "b": failing()}, stop))
    assert stop.is_set()
