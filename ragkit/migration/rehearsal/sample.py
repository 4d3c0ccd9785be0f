"""The sample: whole blocks where the share has enough of them, which reads no other block of the
table; of a smaller table single rows."""

from dataclasses import dataclass
from math import ceil

from ragkit.database.translate import translate_errors
from ragkit.errors import ConfigError
from ragkit.migration.migration import Migration
from ragkit.migration.progress.coverage import count_blocks, estimate_rows

MIN_ROWS = 200
"""Fewer rows say little about speed, and next to nothing about two models."""
MIN_BLOCKS, MAX_READ = 100, 16_384
"""Fewer sampled blocks may be all alike; of a larger table (128 MB) single rows cost too much."""


@dataclass(frozen=True)
class Sample:
    """`rows` of about `total_rows` were copied, `judged_rows` of them because a judged question
    names them; `blocks`: whole blocks, not single rows."""

    rows: int
    total_rows: int
    judged_rows: int
    blocks: bool

    def facts(self) -> dict[str, str]:
        """As people read it."""
        of = f"{self.rows:,} of about {self.total_rows:,}, {'blocks' if self.blocks else 'rows'}"
        judged = f", {self.judged_rows:,} of judged questions" if self.judged_rows else ""
        return {"rows": f"{of} at random{judged}"}


def require_enough(migration: Migration, share: float) -> int:
    """About how many rows the table has, of those that are migrated. Raises ConfigError where the
    share has too few of them for a comparison, or DatabaseError."""
    with translate_errors("looking at the table"), migration.engine.connect() as connection:
        total = estimate_rows(connection, migration, expanded=False).rows
    if not total:
        raise ConfigError(f"{migration.plan.table.qualified_name} has no row: nothing to rehearse")
    if share < 1 and share * total < MIN_ROWS:
        enough = min(1.0, ceil(1000 * MIN_ROWS / total) / 1000)
        raise ConfigError(
            f"a share of {share:g} gives about {share * total:,.0f} of {total:,} rows, and a "
            f"comparison takes {MIN_ROWS} at least: --share {enough:g} or more; nothing was changed"
        )
    return total


def is_by_blocks(migration: Migration, share: float) -> bool:
    """Whether the share has blocks enough to be a sample of them. Raises DatabaseError."""
    with translate_errors("looking at the table"), migration.engine.connect() as connection:
        blocks = count_blocks(connection, migration)
    return blocks * share >= MIN_BLOCKS or blocks > MAX_READ


def require_rows(sample: Sample, share: float) -> Sample:
    """Raises ConfigError for one that has far too few rows, by chance."""
    if share < 1 and sample.rows < MIN_ROWS / 2:
        raise ConfigError(
            f"the sample has {sample.rows:,} rows by chance, expected about "
            f"{share * sample.total_rows:,.0f}: take a larger --share; the table was not changed"
        )
    return sample
