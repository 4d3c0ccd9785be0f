"""Candidates by PostgreSQL's own full text search: rows with any word of the question."""

from functools import lru_cache

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier, quote_literal
from ragkit.database.wire.round_trip import ask
from ragkit.retrieval.contract import regclass
from ragkit.retrieval.rescue.candidates.rows import stored_vector_sql
from ragkit.retrieval.rescue.plan import RescuePlan
from ragkit.retrieval.space import Binding

MAX_BYTES = 200_000
"""Of a text that is searched: PostgreSQL refuses to make more than a megabyte of lexemes of one,
and would refuse the app's write of such a text, where an index is made of them."""
CANDIDATES_MS = 2000
"""Less than a connection may be silent in the function, so that other candidates can serve."""

MAX_RANKED = 2000
"""Rows of a large table that are ranked for a question: so many with all of its words, and so many
with any of them. Of these, first come those with its rarest words, as many words as are in so few
rows. A text is parsed again for it."""

# The words are lexemes by then, quoted where one holds a space: " & " is the operator's alone.
_WORDS = """
with words as materialized (
    select w as every, replace(w::text, ' & ', ' | ')::tsquery as any_of
    from plainto_tsquery({language}, $1::text) as p (w)
)"""
_QUOTED_LEXEME = r"'''' || replace(replace(word, '\', '\\'), '''', '''''') || ''''"
# "offset 0" keeps PostgreSQL from parsing a text once for the condition and once for the order.
_OF_ALL_ROWS = """
select d.key, d.text
from (
    select r.{key}::text as key, case when {stored} is null then r.{content} end as text,
           {document} as document
    from {table} as r where {searchable} offset 0
) as d, words
where d.document @@ words.any_of
order by ts_rank(d.document, words.any_of) desc, d.key limit $2
"""
# The server knows the shares of the commonest words, once the index or column was analysed. All
# others count as 0: without statistics, each word is as rare as any.
_OF_SOME_ROWS = """, shares as materialized (
    select e.word, e.share
    from pg_stats as s, unnest(s.most_common_elems::text::text[], s.most_common_elem_freqs)
         as e (word, share)
    where e.word is not null and (s.schemaname, s.tablename, s.attname) in (
        select n.nspname, c.relname, a.attname
        from pg_class as c
        join pg_namespace as n on n.oid = c.relnamespace
        join pg_attribute as a on a.attrelid = c.oid
             and (a.atttypid = 'tsvector'::regtype or starts_with(a.attname::text, 'to_tsvector'))
        where c.oid in (select to_regclass({name}) union all
                        select indexrelid from pg_index where indrelid = to_regclass({name})))
), lexemes as (
    select l.word, coalesce(shares.share, 0) as share
    from unnest(tsvector_to_array(to_tsvector({language}, $1::text))) as l (word)
    left join (select word, max(share) as share from shares group by word) as shares using (word)
), rare as materialized (
    select string_agg({lexeme}, ' | ')::tsquery as any_of
    from (select word, row_number() over by_share as place, sum(share) over by_share as shares
          from lexemes window by_share as (order by share, word)) as o
    where place = 1
       or shares * (select reltuples from pg_class where oid = to_regclass({name})) <= {most}
), rarest as materialized (
    select r.{key} as key from {table} as r
    where {searchable} and {document} @@ (select any_of from rare) limit {most}
), found as materialized (
    select distinct key from (
        (select r.{key} as key from {table} as r
         where {searchable} and {document} @@ (select every from words) limit {most})
        union all
        select key from rarest
        union all
        (select r.{key} as key from {table} as r
         where {searchable} and {document} @@ (select any_of from words)
         limit greatest({most} - (select count(*) from rarest), 0))
    ) as f
)
select r.{key}::text, case when {stored} is null then r.{content} end
from found join {table} as r on r.{key} = found.key, words
where {searchable}
order by ts_rank({document}, words.any_of) desc, found.key limit $2
"""


def find_candidates(
    connection: sa.Connection, binding: Binding, plan: RescuePlan, question: str, limit: int
) -> dict[str, str | None]:
    """Keys of at most `limit` rows, best first, each with its text where it has no new vector.

    Empty for a question without a word that the language keeps. Raises pg8000's errors.
    """
    words = question.replace("\0", " ").encode()  # PostgreSQL takes no NUL
    values = words, limit.to_bytes(8, "big")
    settings = {"statement_timeout": str(CANDIDATES_MS)}
    return dict(ask(connection, _candidates_sql(binding, plan), values, settings))


def document_sql(plan: RescuePlan, alias: str = "") -> str:
    """What is searched, and what an index has to be on."""
    if plan.document:
        return f"{alias}{quote_identifier(plan.document)}"
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
    return (_WORDS + (_OF_ALL_ROWS if plan.is_small else _OF_SOME_ROWS)).format(
        key=quote_identifier(plan.key), content=quote_identifier(plan.content),
        table=regclass(binding.table), language=language_sql(plan),
        document=document_sql(plan, "r."), searchable=searchable_sql(plan, "r."),
        stored=stored_vector_sql(binding), most=MAX_RANKED, lexeme=_QUOTED_LEXEME,
        name=quote_literal(regclass(binding.table)),
    ).strip()  # fmt: skip
