"""When a backfill is complete."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.schema.expansion import expand
from tests.conftest import TEXTS
from tests.migration.backfill.vectors import check_vectors
from tests.stand_ins.recording import RecordingEmbedder


@pytest.mark.timeout(100)
def test_a_backfill_ends_beside_an_application_that_edits_the_same_rows_all_the_time(
    migration, new_embedder
):
    """Each pass loses some rows to it: what it has written meanwhile is no reason to go on."""
    expand(migration)
    stop = threading.Event()

    def edit():
        for number in itertools.count():
            with migration.engine.begin() as app:
                change = sa.update(migration.table).where(migration.key == number % len(TEXTS) + 1)
                app.execute(change.values(content=f"Edited {number}."))
            if stop.wait(0.01):
                return

    slow, deadline = RecordingEmbedder(new_embedder, lambda _: time.sleep(0.05)), 30.0
    with ThreadPoolExecutor(1) as executor:
        editing, start = executor.submit(edit), time.monotonic()
        try:
            for _ in run_backfill(migration, slow):
                assert time.monotonic() - start < deadline
        finally:
            stop.set()
        editing.result()
    list(run_backfill(migration, new_embedder))
    check_vectors(migration, new_embedder)
