"""An app that a person deploys may serve, and write, before the cut-over is recorded."""

import threading

import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.database.connecting import describe
from ragkit.deploy.own_app.manual import ManualApp
from ragkit.errors import DeployError
from ragkit.migration import phases
from ragkit.migration.backfill.follower import follow
from ragkit.migration.cutover import cut_over
from ragkit.migration.verdict import GO, Verdict
from tests.conftest import column_of, with_plan

WRITE = sa.text(
    'update "Amenities" set content = :text, "new vector" = cast(:v as vector) where id = 1'
)


def test_what_the_new_revision_changes_is_never_beside_a_stale_old_vector(
    filled, engine, old_embedder, new_embedder
):
    migration = with_plan(filled, {"database.expect": describe(engine.url)})
    migration.record(phases.BACKFILLED)
    with pytest.raises(DeployError, match="by hand"):
        cut_over(migration, ManualApp(""), Verdict(GO, [], {}), "tea")
    assert migration.phase() == phases.BACKFILLED
    text = "A shop of lamps."
    with engine.begin() as connection:
        vector = new_embedder.embed_query(text)
        connection.execute(WRITE, {"text": text, "v": str(vector.tolist())})
    assert column_of(engine, migration, "embedding")[1] is None
    stop = threading.Event()
    timer = threading.Timer(20, stop.set)
    timer.start()
    for _ in follow(migration, new_embedder, old_embedder, stop):
        if column_of(engine, migration, "embedding")[1] is not None:
            stop.set()
    timer.cancel()
    held = column_of(engine, migration, "embedding")[1]
    assert np.allclose(np.asarray(held), old_embedder.embed_query(text), atol=1e-3)
