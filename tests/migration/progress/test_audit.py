import pytest
import sqlalchemy as sa

from ragkit.migration import ledger
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.progress import audit as auditing
from ragkit.migration.progress.audit import audit, last_audit
from ragkit.migration.progress.coverage import count_rows
from ragkit.migration.schema.expansion import expand
from ragkit.migration.verdict import recheck_verdict
from tests.conftest import gates_of
from tests.migration.backfill.vectors import check_vectors


def read_last(migration):
    with migration.engine.connect() as connection:
        return last_audit(connection, migration)


@pytest.mark.parametrize("blocks", [1, 2, 4096])
def test_the_chunks_add_up(filled, monkeypatch, blocks):
    monkeypatch.setattr(auditing, "CHUNK_BLOCKS", blocks)
    shares = []
    counts = audit(filled, shares.append)
    with filled.engine.connect() as connection:
        assert counts == count_rows(connection, filled)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert read_last(filled) == counts


def test_a_lost_row_is_found_fails_the_gate_and_is_filled_by_the_next_run(filled, new_embedder):
    with filled.engine.begin() as connection:
        connection.exec_driver_sql('alter table "Amenities" disable trigger user')
        connection.exec_driver_sql('update "Amenities" set "new vector" = null where id = 3')
    gate = gates_of(filled)["coverage"]
    assert (gate.passed, "1 pending" in gate.observed) == (False, True)
    list(run_backfill(filled, new_embedder))
    check_vectors(filled, new_embedder)
    assert gates_of(filled)["coverage"].passed


def test_before_a_backfill_nothing_is_put_into_the_queue(migration):
    expand(migration)
    assert audit(migration).pending == 6
    with migration.engine.connect() as connection:
        assert connection.scalar(sa.text("select count(*) from ragkit.queue")) == 0


def test_an_audit_does_not_count_any_more_once_the_triggers_were_missing(filled):
    assert read_last(filled).filled == 6
    filled.record(ledger.TRIGGERS_RESTORED)
    assert read_last(filled) is None


def test_a_recheck_takes_the_last_audit_and_the_queue(filled):
    audit(filled)
    with filled.engine.begin() as connection:
        row = {"id": 100, "name": "n", "content": "Nobody follows."}
        connection.execute(sa.insert(filled.table).values(row))
        connection.exec_driver_sql(
            "update ragkit.migration set caught_up_at = now() - interval '2 minutes'"
        )
    gates = {gate.name: gate for gate in recheck_verdict(filled).gates}
    assert "1 pending" in gates["coverage"].observed
