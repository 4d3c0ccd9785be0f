"""Candidates by PostgreSQL's own full text search: rows with any word of the question."""

from functools import lru_cache

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier, quote_literal
from ragkit.database.wire.round_trip import ask
from ragkit.retrieval.contract import regclass
from ragkit.retrieval.rescue.plan import RescuePlan
from ragkit.retrieval.rescue.rows import stored_vector_sql
from ragkit.retrieval.space import Binding

MAX_BYTES = 200_000
"""Of a text that is searched: PostgreSQL refuses to make more than a megabyte of lexemes of one,
and would refuse the app's write of such a text, where an index is made of them."""
CANDIDATES_MS = 2000
"""Less than a connection may be silent in the function, so that other candidates can serve."""

# The words are lexemes by then, quoted where one holds a space: " & " is the operator's alone.
_CANDIDATES = """
select r.{key}::text, case when {stored} is null then r.{content} end
from {table} as r, (
    select replace(plainto_tsquery({language}, $1::text)::text, ' & ', ' | ')
) as o (words)
where {searchable} and {document} @@ o.words::tsquery
order by ts_rank({document}, o.words::tsquery) desc limit $2
"""


def find_candidates(
    connection: sa.Connection, binding: Binding, plan: RescuePlan, question: str, limit: int
) -> dict[str, str | None]:
    """Keys of at most `limit` rows, best first, each with its text where it has no new vector.

    None for a question without a word that the language keeps. Raises pg8000's errors.
    """
    words = question.replace("\0", " ").encode()  # PostgreSQL takes no NUL
    values = words, limit.to_bytes(8, "big")
    settings = {"statement_timeout": str(CANDIDATES_MS)}
    return dict(ask(connection, _candidates_sql(binding, plan), values, settings))


def document_sql(plan: RescuePlan, alias: str = "") -> str:
    """What is searched, and what an index has to be on."""
    content = quote_identifier(plan.content)
    return f"to_tsvector({language_sql(plan)}, {alias}{content})"


def searchable_sql(plan: RescuePlan, alias: str = "") -> str:
    """Whether a text is searched; an index has to be on those texts only. Reads no text."""
    return f"octet_length({alias}{quote_identifier(plan.content)}) <= {MAX_BYTES}"


def language_sql(plan: RescuePlan) -> str:
    """A constant, so that an index on the expression fits."""
    return f"{quote_literal(quote_identifier(plan.language))}::regconfig"


@lru_cache
def _candidates_sql(binding: Binding, plan: RescuePlan) -> str:
    return _CANDIDATES.format(
        key=quote_identifier(plan.key), content=quote_identifier(plan.content),
        table=regclass(binding.table), language=language_sql(plan),
        document=document_sql(plan, "r."), searchable=searchable_sql(plan, "r."),
        stored=stored_vector_sql(binding),
    ).strip()  # fmt: skip
