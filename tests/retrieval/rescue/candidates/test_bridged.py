import time
from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.database.engine import engine_from_env
from ragkit.database.translate import translate_errors
from ragkit.database.types import as_array
from ragkit.errors import DatabaseError
from ragkit.retrieval.rescue.candidates.bridged import find_nearest

READ_SECONDS = 3.0
"""Of the function: a connection that is silent for so long is given up as broken."""


def test_a_search_that_is_too_slow_is_ended_by_the_server(rescued):
    """So that the connection is kept, and full text serves alone."""
    url = rescued.engine.url.render_as_string(hide_password=False)
    engine = engine_from_env({"DATABASE_URL": url}, read_seconds=READ_SECONDS, ping=False)
    vector = np.ones(rescued.old.space.dimension, np.float32)
    with rescued.engine.connect() as other, engine.connect() as connection:
        other.exec_driver_sql(f"lock table {rescued.quoted_table}")
        start = time.monotonic()
        with pytest.raises(DatabaseError, match="statement timeout"), translate_errors("search"):
            find_nearest(connection, rescued.old, "id", vector, 3)
        assert time.monotonic() - start < READ_SECONDS - 0.5
    engine.dispose()


def test_an_index_of_bits_gives_its_rows_too(rescued):
    """What the bridge leads to may have been migrated with such an index."""
    with rescued.engine.connect() as connection:
        stored = as_array([connection.scalars(sa.select(rescued.old_vector)).first()])[0]
        exact = find_nearest(connection, rescued.old, "id", stored, 3)
        by_bits = replace(rescued.old, oversampling=4)
        assert find_nearest(connection, by_bits, "id", stored, 3) == exact
    assert len(exact) == 3
