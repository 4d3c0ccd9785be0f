"""From a rehearsal to the whole table: rows, money and bytes in proportion; an index by
rows · log(rows); hours by the measured rate, or by the quota where that takes longer."""

from dataclasses import dataclass

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.migration.backfill.model_calls.quota import Quota
from ragkit.migration.migration import Migration
from ragkit.migration.rehearsal.sample import Sample
from ragkit.migration.schema.index.sizing import choose_sizing
from ragkit.migration.schema.index.trial import IndexTrial

BY_QUOTA, BY_RATE = "the quota", "the measured rate"


@dataclass(frozen=True)
class Measured:
    """Of the copy. `rows` have a new vector, at `rows_per_second`; `once_seconds` of the backfill
    do not grow with the rows. `table_bytes` is what the backfill has added, without the index."""

    rows: int
    dead_letters: int
    rows_per_second: float
    once_seconds: float
    requests: int
    tokens: int
    usd: float
    table_bytes: int
    index_seconds: float
    index_bytes: int


@dataclass(frozen=True)
class Forecast:
    """Of the whole table. `limited_by` says what the time of the backfill is that of;
    `index_fits`: the server's memory holds the index while it is built, so that its time is no
    lower bound."""

    rows: int
    dead_letters: int
    backfill_minutes: float
    limited_by: str
    requests: int
    tokens: int
    usd: float
    index_minutes: float
    index_fits: bool
    table_bytes: int
    index_bytes: int


def extrapolate(measured: Measured, sample: Sample, quota: Quota, *, fits: bool) -> Forecast:
    """`quota` is that of the real run."""
    factor = sample.total_rows / max(sample.rows, 1)
    rows = round(factor * measured.rows)
    requests, tokens = round(factor * measured.requests), round(factor * measured.tokens)
    by_rate = measured.once_seconds
    by_rate += rows / measured.rows_per_second if measured.rows_per_second else 0.0
    by_quota = quota.seconds(requests, tokens)
    seconds, limit = max((by_rate, BY_RATE), (by_quota, BY_QUOTA))
    index = IndexTrial(
        measured.rows, 0.0, measured.index_bytes / max(measured.rows, 1), measured.index_seconds
    )
    index_seconds = index.seconds_for(rows) if measured.rows > 1 else 0.0
    return Forecast(
        rows=rows,
        dead_letters=round(factor * measured.dead_letters),
        backfill_minutes=round(seconds / 60, 4),
        limited_by=limit,
        requests=requests,
        tokens=tokens,
        usd=round(factor * measured.usd, 6),
        index_minutes=round(index_seconds / 60, 4),
        index_fits=fits,
        table_bytes=round(factor * measured.table_bytes),
        index_bytes=round(index.index_bytes * rows),
    )


def fits_in_memory(migration: Migration, rows: int) -> bool:
    """Whether an index over so many rows is built without its slower second phase. Raises
    DatabaseError."""
    with translate_errors("sizing the index build"), migration.engine.connect() as connection:
        return choose_sizing(connection, migration, rows, may_set=True).fits


def size(migration: Migration) -> int:
    """Bytes of the table with its indexes, and of the side table if there is one. Raises
    DatabaseError."""
    names = {migration.quoted_table, migration.new_place[0]}
    sizes = [sa.func.pg_total_relation_size(sa.func.to_regclass(name)) for name in names]
    with translate_errors("looking at the copy"), migration.engine.connect() as connection:
        return sum(found or 0 for found in connection.execute(sa.select(*sizes)).one())


def explain(migration: Migration, sample: Sample, forecast: Forecast) -> list[str]:
    """How the forecast was made, and what the real run has that the rehearsal had not."""
    kind = migration.plan.index.type
    texts = [
        f"rows, money and bytes are in proportion ({sample.total_rows:,} to {sample.rows:,} rows); "
        f"the time of the backfill is that of {forecast.limited_by}",
        "an index takes rows · log(rows)" + ("" if kind != "ivfflat" else ", IVFFlat more"),
        "not rehearsed: the app's own traffic, its triggers on the table, a table that is larger "
        "than the cache, free room in its pages",
        "among fewer rows both models find more, and so does the index: quality and recall are "
        "those of the sample",
    ]
    if not forecast.index_fits:
        texts.append(
            "the server's memory does not hold the whole index while it is built, so that it takes "
            "longer than this: see index.memory_mb"
        )
    if migration.plan.table.where:
        texts.append("of the table, only rows of table.where were copied")
    return texts
