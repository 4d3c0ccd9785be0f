"""The steps of a migration, with each statement on the user's table, its lock and its way back."""

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from ragkit.database.translate import translate_errors
from ragkit.migration import ledger
from ragkit.migration.backfill.model_calls.costs import SPENDING
from ragkit.migration.backfill.model_calls.quota import QUOTA
from ragkit.migration.backfill.writing.write_size import MAX_ROWS
from ragkit.migration.migration import Migration
from ragkit.migration.partitions.tree import is_partitioned
from ragkit.migration.preview.ways import as_retired, retirement_statements, switch_statements
from ragkit.migration.progress.dead_letters import DEAD_LETTER
from ragkit.migration.schema import statements
from ragkit.migration.schema.expansion import requires_old
from ragkit.migration.schema.index.choice.width import is_too_wide
from ragkit.migration.schema.index.estimate import estimate_rows
from ragkit.migration.schema.index.partitioned import index_sql
from ragkit.migration.schema.index.sizing import choose_sizing
from ragkit.migration.schema.side_table import table as beside
from ragkit.migration.schema.triggers import add_triggers_sql, drop_triggers_sql, is_own
from ragkit.migration.work.tables import (
    BATCH_JOB,
    CLAIM,
    CONTROL,
    LEASE,
    QUEUE,
    SWEEP,
    WORKER,
)
from ragkit.retrieval.contract import CONTRACT

OWN_TABLES = (
    CONTRACT, ledger.MIGRATION, ledger.EVENT, DEAD_LETTER, SPENDING, QUOTA,
    WORKER, LEASE, SWEEP, CLAIM, QUEUE, BATCH_JOB, CONTROL,
)  # fmt: skip
EXCLUSIVE = "ACCESS EXCLUSIVE: nobody reads or writes the table meanwhile"
SHARE_ROW = "SHARE ROW EXCLUSIVE: nobody writes the table meanwhile"
SHARE = "SHARE: nobody writes the table by this name meanwhile"
ATTACH = "ACCESS EXCLUSIVE: nobody reads or writes the partition meanwhile"
CONCURRENT = "SHARE UPDATE EXCLUSIVE: everybody reads and writes on"
ROWS = "ROW EXCLUSIVE, and its rows: a row that somebody else has locked is left for later"
NONE = "none on your table"
SHOWN = 90
"""Characters of a statement in a table."""


@dataclass(frozen=True)
class Statement:
    """`step` is the command that runs it; `lock` what it holds on the table, and `duration` for how
    long; `undo` is the way back."""

    step: str
    sql: str
    lock: str
    duration: str
    undo: str

    def facts(self) -> dict[str, str]:
        """In a table of a terminal: the start of each text."""
        sql = " ".join(self.sql.split())
        return {
            "step": self.step,
            "statement": sql if len(sql) <= SHOWN else f"{sql[:SHOWN]}…",
            "lock": self.lock.partition(":")[0].partition(",")[0],
            "duration": self.duration.partition(";")[0],
            "way back": self.undo,
        }


def plan_statements(migration: Migration, backfill: str, build: str) -> list[Statement]:
    """In the order in which they run; `backfill` and `build` are the estimated durations of the
    backfill and of the index build. Changes nothing. Raises DatabaseError."""
    with translate_errors("planning the statements"), migration.engine.connect() as connection:
        return [
            *_expand(connection, migration),
            *_fill(connection, migration, backfill, build),
            *_cut_over(connection, migration),
            *_retire(connection, migration),
        ]


def _moment(migration: Migration) -> str:
    settings = migration.plan.database
    return (
        f"milliseconds; waits {settings.lock_timeout_ms:,} ms at most for the lock, then tries "
        f"again for {settings.ddl_seconds:g} s"
    )


def _expand(connection: sa.Connection, migration: Migration) -> Iterator[Statement]:
    moment, schema = _moment(migration), "DROP SCHEMA ragkit CASCADE"
    yield Statement("backfill", statements.create_schema(), NONE, "milliseconds", schema)
    for table in OWN_TABLES:
        yield Statement("backfill", _create(table), NONE, "milliseconds", schema)
    for sql in statements.grant_to_app():
        yield Statement("backfill", sql, NONE, "milliseconds", schema)
    if migration.new_side:
        for sql in beside.create_sql(connection, migration):
            yield Statement("backfill", sql, NONE, "milliseconds", schema)
    else:
        undo = f"ALTER TABLE … DROP COLUMN {migration.plan.new.column}"
        yield Statement("backfill", statements.add_column(migration), EXCLUSIVE, moment, undo)
    yield from _watch(connection, migration, "backfill")


def _watch(connection: sa.Connection, migration: Migration, step: str) -> Iterator[Statement]:
    """The triggers that watch a column, and the part of the queue that they write."""
    undo = "DROP SCHEMA ragkit CASCADE"
    for sql in add_triggers_sql(connection, migration):
        lock = NONE if is_own(sql) else SHARE_ROW
        yield Statement(step, sql, lock, _moment(migration), undo)


def _fill(
    connection: sa.Connection, migration: Migration, backfill: str, build: str
) -> Iterator[Statement]:
    plan, is_beside = migration.plan, migration.plan.new.is_beside
    write = (
        f"insert into {migration.new_place[0]} … in transactions of up to {MAX_ROWS:,} rows"
        if is_beside
        else f"update {migration.quoted_table} set {plan.new.column} = … in transactions of up to "
        f"{MAX_ROWS:,} rows"
    )
    undo = "not needed: the old column is never written"
    yield Statement("backfill", write, NONE if is_beside else ROWS, backfill, undo)
    if plan.index.type != "none" and not is_too_wide(migration):
        yield from _index(connection, migration, build)


def _index(connection: sa.Connection, migration: Migration, build: str) -> Iterator[Statement]:
    if migration.new_side:
        rows = estimate_rows(connection, migration)
        sizing = choose_sizing(connection, migration, rows, may_set=True)
        sql = statements.create_index(migration, sizing.lists)
        yield Statement("backfill", sql, NONE, build, "DROP INDEX CONCURRENTLY …")
        return
    of_all = is_partitioned(connection, migration.quoted_table)
    undo = "DROP INDEX …, of the whole table" if of_all else "DROP INDEX CONCURRENTLY …"
    for sql in index_sql(connection, migration):
        if sql.startswith("create index concurrently"):
            took = f"{build} for all partitions" if of_all else build
            yield Statement("backfill", sql, CONCURRENT, took, undo)
        else:
            lock = ATTACH if sql.startswith("alter") else SHARE
            yield Statement("backfill", sql, lock, _moment(migration), undo)


def _cut_over(connection: sa.Connection, migration: Migration) -> Iterator[Statement]:
    moment = _moment(migration)
    if requires_old(connection, migration):
        sql = statements.drop_not_null(migration)
        undo = "ALTER TABLE … ALTER COLUMN … SET NOT NULL, once `follow` has filled it"
        yield Statement("cutover", sql, EXCLUSIVE, moment, undo)
    yield from _watch(connection, migration.reversed(), "cutover")
    for told in switch_statements(connection, migration):
        lock = EXCLUSIVE if told.is_exclusive else NONE
        yield Statement("cutover", told.sql, lock, moment, told.undo)


def _retire(connection: sa.Connection, migration: Migration) -> Iterator[Statement]:
    """Only with old.retire."""
    back = migration.reversed()
    own = drop_triggers_sql(back)
    for sql in (*own, statements.drop_column(as_retired(migration))):
        lock = NONE if sql.startswith(("drop function", "drop view")) else EXCLUSIVE
        yield Statement("retire", sql, lock, _moment(migration), "none")
    for told in retirement_statements(connection, migration):
        lock = EXCLUSIVE if told.is_exclusive else NONE
        yield Statement("retire", told.sql, lock, _moment(migration), told.undo)


def _create(table: sa.Table) -> str:
    sql = str(CreateTable(table, if_not_exists=True).compile(dialect=postgresql.dialect()))
    return " ".join(sql.split())
