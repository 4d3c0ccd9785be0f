"""Two revisions write at once, one by the table and one by the view; follow keeps both right."""

import random
import threading
import time

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ragkit.migration import phases
from ragkit.migration.backfill.follower import follow
from ragkit.migration.progress import coverage
from tests.conftest import column_of
from tests.migration.versioned_view.conftest import VIEW, rows

SECONDS = 4.0


def revision(engine, target, embedder, seed, stop, faults):
    """Inserts, upserts, edits and deletes with its own model, in transactions of one to three."""
    chosen, number = random.Random(seed), 0
    while not stop.is_set():
        number += 1
        try:
            with engine.begin() as connection:
                for _ in range(chosen.randint(1, 3)):
                    write(connection, target, embedder, chosen, f"Text {seed} of {number}.")
        except DBAPIError as error:
            if "deadlock" not in str(error):  # of the two revisions with one another
                faults.append(error)
                return
        time.sleep(0.005)


def write(connection, target, embedder, chosen, text):
    values = {"key": chosen.randint(1, 40), "text": text}
    values["vector"] = str(list(map(float, embedder.embed_query(text))))
    kind = chosen.choice(["upsert", "upsert", "edit", "edit", "delete", "touch"])
    statement = {
        "upsert": f"insert into {target} (id, content, embedding) values (:key, :text, :vector) "
        "on conflict (id) do update set content = excluded.content, embedding = excluded.embedding",
        "edit": f"update {target} set content = :text, embedding = :vector where id = :key",
        "touch": f"update {target} set name = :text where id = :key",
        "delete": f"delete from {target} where id = :key",
    }[kind]
    used = {name: value for name, value in values.items() if f":{name}" in statement}
    connection.execute(sa.text(statement), used)


@pytest.mark.parametrize("recorded", [False, True], ids=["before", "after the cut-over"])
def test_each_row_has_both_vectors_of_its_text(
    viewed, engine, old_embedder, new_embedder, recorded
):
    """Also before the cut-over is recorded: a person may start the new revision at once."""
    if recorded:
        viewed.record(phases.CUT_OVER)
    stop, end, faults = threading.Event(), threading.Event(), []

    def keep():
        try:
            for _ in follow(viewed, new_embedder, old_embedder, end):
                pass
        except Exception as error:
            faults.append(error)

    threads = [
        threading.Thread(target=revision, args=(engine, *args, stop, faults))
        for args in [('"Amenities"', old_embedder, 1), (VIEW, new_embedder, 2)]
    ]
    follower = threading.Thread(target=keep)
    for thread in (*threads, follower):
        thread.start()
    time.sleep(SECONDS)
    stop.set()
    for thread in threads:
        thread.join()
    deadline = time.monotonic() + 30
    while pending(viewed) and time.monotonic() < deadline:
        time.sleep(0.2)
    end.set()
    follower.join()
    assert faults == []
    texts = dict(rows(engine, 'select id, content from "Amenities"'))
    assert len(texts) > 10
    assert any("Text 1" in text for text in texts.values())
    assert any("Text 2" in text for text in texts.values())
    for name, embedder in (("embedding", old_embedder), ("new vector", new_embedder)):
        for key, vector in column_of(engine, viewed, name).items():
            assert np.allclose(vector, embedder.embed_query(texts[key]), atol=1e-4), (name, key)


def pending(migration):
    with migration.engine.connect() as connection:
        sides = (migration, migration.reversed())
        return sum(coverage.count_rows(connection, side).pending for side in sides)
