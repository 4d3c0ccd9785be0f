import sqlalchemy as sa

from ragkit.migration.progress.coverage import CURRENT_SNAPSHOT, count_older
from tests.conftest import TEXTS


def test_pending_rows_are_counted_by_their_age(filled):
    with filled.engine.connect() as connection:
        before = connection.scalar(CURRENT_SNAPSHOT)
    with filled.engine.begin() as connection:
        row = {"id": 100, "name": "n", "content": TEXTS[0]}
        connection.execute(sa.insert(filled.table).values(row))
    with filled.engine.connect() as connection:
        after = connection.scalar(CURRENT_SNAPSHOT)
        assert count_older(connection, filled, before) == 0
        assert count_older(connection, filled, after) == 1
