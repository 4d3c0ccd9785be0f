"""How much of a column is filled, by a few pages of the table."""

from functools import lru_cache

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.retrieval.contract import regclass
from ragkit.retrieval.rescue.candidates.rows import stored_vector_sql
from ragkit.retrieval.rescue.plan import RescuePlan
from ragkit.retrieval.search import STATEMENT_MS
from ragkit.retrieval.space import Binding

NOT_BLANK = r"[^\s\u00a0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff]"
"""A character that is not white space, as PostgreSQL's regular expressions say it."""
PAGES = 64
"""That are read, of 8 kB each; a smaller table is read whole."""
_BYTES = sa.text("""
    select coalesce(sum(pg_relation_size(relid)), pg_relation_size(to_regclass(:table)))
    from pg_partition_tree(to_regclass(:table))
""")


def estimate_coverage(connection: sa.Connection, binding: Binding, plan: RescuePlan) -> float:
    """The share of the rows with a text that have a vector, rounded to 0.001; 1.0 without such
    rows. Raises DBAPIError."""
    connection.execute(sa.select(sa.func.set_config("statement_timeout", str(STATEMENT_MS), True)))
    size = connection.scalar(_BYTES, {"table": regclass(binding.table)}) or 0
    percent = min(100.0, 100 * PAGES * 8192 / max(float(size), 1.0))
    share = connection.exec_driver_sql(_share_sql(binding, plan, percent)).scalar()
    connection.rollback()  # pg8000: a read has opened a transaction
    return 1.0 if share is None else round(float(share), 3)


@lru_cache
def _share_sql(binding: Binding, plan: RescuePlan, percent: float) -> str:
    return (
        f"select avg(({stored_vector_sql(binding)} is not null)::int) "
        f"from {regclass(binding.table)} as r tablesample system ({percent:.6f}) "
        f"where r.{quote_identifier(plan.content)} ~ '{NOT_BLANK}'"
    )
