"""From ranges of the sweep to jobs: which rows are in them. No text is read yet."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.database.types import CTID
from ragkit.embedding.catalogue import Model
from ragkit.migration import phases
from ragkit.migration.migration import Migration
from ragkit.migration.partitions.leaf import LeafGone, LeafMigration, of_leaf, unless_gone
from ragkit.migration.progress import coverage
from ragkit.migration.work import jobs, sweep
from ragkit.migration.work.rows import Place, stripe
from ragkit.migration.work.sweep import Range
from ragkit.retry import retry_database

MAX_OPEN = 32
"""Jobs of a migration that have not ended; the Gemini API takes 100 of an account."""
LINE_BYTES = 400
"""Of a line of a job's file, without its text."""
FULL = 0.8
"""Of the bytes that a file may have: in JSON, a text is a little longer."""


class KeyedRow(NamedTuple):
    """A row's key, and the length of its text in bytes."""

    key: str
    size: int


def is_by_jobs(migration: Migration) -> bool:
    """Whether ranges are for the batch API: those of the first backfill, for which nobody waits.
    Raises DatabaseError."""
    is_batch = migration.plan.backfill.mode == "batch"
    return is_batch and migration.phase() in (phases.PLANNED, phases.EXPANDED)


def prepare(migration: Migration, worker: str, model: Model) -> bool:
    """Makes jobs of the next ranges, one or more: whether there were ranges, and room for jobs.

    The ranges are finished in the transaction that makes the jobs. Raises DatabaseError.
    """
    if retry_database(_count_open, migration) >= MAX_OPEN:
        return False
    ranges, rows = _claim(migration, worker, model)
    if ranges:
        retry_database(_record, migration, worker, model, ranges, rows)
    return bool(ranges)


def _count_open(migration: Migration) -> int:
    with translate_errors("preparing jobs"), migration.engine.connect() as connection:
        return jobs.count(connection, migration).open


def _record(
    migration: Migration, worker: str, model: Model, ranges: list[Range], rows: list[KeyedRow]
) -> None:
    """Safe to repeat: when no range is this worker's any more, others have its rows, or it was
    done."""
    with translate_errors("preparing jobs"), migration.engine.begin() as connection:
        if not sum(sweep.finish_with(connection, migration, worker, each) for each in ranges):
            return
        for part in cut(rows, model):
            size = sum(row.size for row in part)
            jobs.add(connection, migration, model, [row.key for row in part], size)


def _claim(migration: Migration, worker: str, model: Model) -> tuple[list[Range], list[KeyedRow]]:
    """Until they fill a job."""
    ranges, rows, size = list[Range](), list[KeyedRow](), 0
    while len(rows) < model.batch_texts and size < FULL * model.batch_bytes:
        if (claimed := retry_database(sweep.claim, migration, worker)) is None:
            break
        found = retry_database(_read, of_leaf(migration, claimed.leaf), claimed)
        if found is not None:
            ranges.append(claimed)
            rows += found
            size += sum(row.size + LINE_BYTES for row in found)
    return ranges, rows


def cut(rows: Sequence[KeyedRow], model: Model) -> Iterator[Sequence[KeyedRow]]:
    """Parts that fit into a job."""
    start, size = 0, 0
    for end, row in enumerate(rows):
        more = row.size + LINE_BYTES
        is_full = end - start == model.batch_texts or size + more > FULL * model.batch_bytes
        if end > start and is_full:
            yield rows[start:end]
            start, size = end, 0
        size += more
    if start < len(rows):
        yield rows[start:]


def _read(leaf: LeafMigration, claimed: Range) -> list[KeyedRow] | None:
    """The pending rows of a range, one of each page at a time; None when the leaf was rewritten or
    is gone: then it is walked again."""
    size = sa.func.octet_length(leaf.content)
    row = sa.func.json_build_array(sa.cast(CTID, sa.Text), size, leaf.key_text)
    where = *coverage.in_blocks(claimed.first, claimed.end), coverage.is_pending(leaf)
    query = leaf.select(sa.func.json_agg(row)).where(*where)
    try:
        with translate_errors("reading a range"), leaf.engine.begin() as connection:
            with unless_gone(leaf):
                found = connection.scalar(query) or []
            is_current = sweep.is_current(connection, claimed)
    except LeafGone:
        is_current = False
    if not is_current:
        sweep.forget(leaf, claimed.leaf)
        return None
    key_of = {at: key for at, _, key in found}
    places = stripe([Place(at, size) for at, size, _ in found])
    return [KeyedRow(key_of[place.at], place.size) for place in places]
