"""Candidates as rows of the table: what is shown of them, and how near their new vectors are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import sqlalchemy as sa
from pgvector import Vector

from ragkit.database.identifiers import quote_identifier
from ragkit.database.wire.round_trip import ask
from ragkit.retrieval.contract import regclass
from ragkit.retrieval.guarded_write import encode_texts
from ragkit.retrieval.rescue.plan import RescuePlan
from ragkit.retrieval.search import DISTANCES, STATEMENT_MS
from ragkit.retrieval.side_table import DIGEST, KEY, VECTOR, digest_sql
from ragkit.retrieval.space import Binding

_CANDIDATES = """
select c.key, case when s.stored is null then r.{content} end, s.stored {operator} $2::vector
    {shown}
from unnest($1::text[]) with ordinality as c (key, place)
join {table} as r on r.{key} = c.key::{key_type}
cross join lateral (select {stored}) as s (stored)
order by c.place
"""


@dataclass(frozen=True)
class Candidate:
    """`shown` are the columns of the answer. `distance` is None, and `text` the content, where the
    row has no new vector."""

    key: str
    text: str | None
    distance: float | None
    shown: Mapping[str, Any]


def read_candidates(
    connection: sa.Connection,
    binding: Binding,
    plan: RescuePlan,
    keys: Sequence[str],
    vector: np.ndarray,
    columns: Sequence[str],
) -> list[Candidate]:
    """The rows of `keys`, in that order, without those that are gone. `vector` is the question's,
    of shape (dimension,). Raises pg8000's errors."""
    sql = _candidates_sql(binding, plan, tuple(columns))
    values = (
        encode_texts(keys),
        Vector(np.asarray(vector, np.float32)).to_binary(),
    )
    rows = ask(connection, sql, values, {"statement_timeout": str(STATEMENT_MS)})
    return [
        Candidate(key, text, distance, dict(zip(columns, shown, strict=True)))
        for key, text, distance, *shown in rows
    ]


def stored_vector_sql(binding: Binding) -> str:
    """The new vector of the row `r`; NULL where it has none."""
    if not (side := binding.side):
        return f"r.{quote_identifier(binding.column)}"
    return (
        f"(select s.{VECTOR} from {regclass(side.name)} as s "
        f"where s.{KEY} = r.{quote_identifier(side.key)} "
        f"and s.{DIGEST} = {digest_sql(f'r.{quote_identifier(side.content)}')})"
    )


@lru_cache
def _candidates_sql(binding: Binding, plan: RescuePlan, columns: Sequence[str]) -> str:
    return _CANDIDATES.format(
        key=quote_identifier(plan.key), key_type=plan.key_type,
        content=quote_identifier(plan.content), table=regclass(binding.table),
        stored=stored_vector_sql(binding), operator=DISTANCES[binding.distance],
        shown="".join(f", r.{quote_identifier(column)}" for column in columns),
    ).strip()  # fmt: skip
