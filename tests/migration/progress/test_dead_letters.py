import pytest
import sqlalchemy as sa

from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.backfill.writing.writer import Writer
from ragkit.migration.progress import dead_letters
from ragkit.migration.progress.coverage import count_rows
from ragkit.migration.schema.expansion import expand
from ragkit.migration.work.rows import Row
from tests.conftest import TEXTS, gates_of
from tests.migration.backfill.vectors import check_vectors
from tests.stand_ins.faulty import faulty_embedder
from tests.stand_ins.recording import RecordingEmbedder

KEY, TEXT = 4, TEXTS[3]
"""The row that the model refuses."""


@pytest.fixture
def migration_with_refused_row(migration):
    expand(migration)
    list(run_backfill(migration, faulty_embedder(refused_part="Champagne")))
    return migration


def test_a_refused_row_is_a_dead_letter_with_its_reason_and_the_others_are_filled(
    migration_with_refused_row,
):
    migration = migration_with_refused_row
    (letter,) = dead_letters.list_all(migration)
    assert letter.key == str(KEY)
    assert "400" in letter.reason
    with migration.engine.connect() as connection:
        counts = count_rows(connection, migration)
    gates = gates_of(migration)
    assert (counts.filled, counts.pending, counts.dead_letters) == (5, 0, 1)
    assert gates["dead letters"].passed is False
    assert gates["dead letters"].observed == "1 refused by the model"


def test_a_dead_letter_is_retried_when_its_text_changes(migration_with_refused_row, new_embedder):
    migration = migration_with_refused_row
    recorder = RecordingEmbedder(new_embedder)
    list(run_backfill(migration, recorder))
    assert recorder.texts == []
    with migration.engine.begin() as connection:
        edit = sa.update(migration.table).where(migration.key == KEY)
        connection.execute(edit.values(content="Bubbles is a bar. Lemonade."))
    assert dead_letters.list_all(migration) == []
    list(run_backfill(migration, recorder))
    assert recorder.texts == ["Bubbles is a bar. Lemonade."]
    check_vectors(migration, new_embedder)


def test_cleared_dead_letters_are_retried(migration_with_refused_row, new_embedder):
    assert dead_letters.clear(migration_with_refused_row) == 1
    list(run_backfill(migration_with_refused_row, new_embedder))
    check_vectors(migration_with_refused_row, new_embedder)


def test_a_row_that_gets_a_vector_by_hand_is_no_dead_letter(
    migration_with_refused_row, new_embedder
):
    migration = migration_with_refused_row
    vectors = new_embedder.embed_documents([TEXT])
    assert Writer(migration).write([Row(str(KEY), TEXT)], vectors) == 1
    with migration.engine.connect() as connection:
        assert count_rows(connection, migration).dead_letters == 0
