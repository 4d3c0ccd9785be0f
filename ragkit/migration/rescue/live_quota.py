"""The function by which the app's role takes what questions use from the quota, and enters it into
the ledger: it may write neither of them.

It runs by the rights of its owner. Rates, price and names are constants of its body, so that a
caller can tell only how much was used: a call holds the backfill up by MAX_AHEAD_SECONDS at most,
and no call makes it faster.
"""

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier, quote_literal
from ragkit.embedding.embedder import Embedder, MeteredEmbedder
from ragkit.migration.backfill.model_calls.costs import QUESTIONS, SPENDING
from ragkit.migration.backfill.model_calls.metering import open_ledger
from ragkit.migration.backfill.model_calls.quota import QUOTA, Quota
from ragkit.migration.migration import Migration
from ragkit.migration.schema.consistency import short_name
from ragkit.retrieval.contract import SCHEMA

MAX_AHEAD_SECONDS = 60.0
"""A quota is per minute: what was used before that is free again."""
PENALTY_SECONDS = 1.0
"""For which the backfill pauses when a question's request was refused (429), so that its next try
goes through: the client's first pause is half of it at most. Longer ones cost the backfill more
than they save questions."""
_MAX_REQUESTS, _MAX_TOKENS = 1_000, 10_000_000
"""Of one call."""

_FUNCTION = """
create or replace function {name}(bigint, bigint, bigint) returns void language sql strict
security definer set search_path = pg_catalog, pg_temp as ${tag}$
    update {quota} set free_at = greatest(free_at, least(
        clock_timestamp() + make_interval(secs => {max_ahead}),
        greatest(free_at, clock_timestamp()) + make_interval(secs =>
            {per_request} * least(greatest($1, 0), {max_requests})
            + case when $3 > 0 then {penalty} else 0 end)
    )), tokens_free_at = greatest(tokens_free_at, least(
        clock_timestamp() + make_interval(secs => {max_ahead}),
        greatest(tokens_free_at, clock_timestamp()) + make_interval(secs =>
            {per_token} * least(greatest($2, 0), {max_tokens}))
    )) where model = {served_name};
    insert into {spending} as s (migration, model, requests, tokens, usd)
    select {migration}, {model}, u.requests, u.tokens, u.tokens * {per_token_usd}
    from (select least(greatest($1, 0), {max_requests}),
                 least(greatest($2, 0), {max_tokens})) as u (requests, tokens)
    where u.requests > 0
    on conflict (migration, model) do update set requests = s.requests + excluded.requests,
        tokens = s.tokens + excluded.tokens, usd = s.usd + excluded.usd
${tag}$
"""


def create_live_quota(connection: sa.Connection, migration: Migration, embedder: Embedder) -> str:
    """The function's name as SQL; "" for a model that costs nothing. In the caller's transaction.
    Safe to repeat: the rates are those of the plan again."""
    if not isinstance(embedder, MeteredEmbedder):
        return ""
    model = embedder.model
    open_ledger(connection, model)
    quota, name = Quota.of(model, migration.plan.backfill), _name(migration)
    connection.exec_driver_sql(_FUNCTION.format(
        name=name, tag=short_name("body", migration.id), max_ahead=MAX_AHEAD_SECONDS,
        penalty=PENALTY_SECONDS, max_requests=_MAX_REQUESTS, max_tokens=_MAX_TOKENS,
        per_request=_number(quota.request_seconds(1)), per_token=_number(quota.token_seconds(1)),
        per_token_usd=_number(model.price(1)), quota=quote_identifier(SCHEMA, QUOTA.name),
        spending=quote_identifier(SCHEMA, SPENDING.name), migration=quote_literal(migration.id),
        served_name=quote_literal(model.served_name), model=quote_literal(model.name + QUESTIONS),
    ).strip())  # fmt: skip
    connection.exec_driver_sql(f"grant execute on function {name} to public")
    return name


def drop_live_quota(connection: sa.Connection, migration: Migration) -> None:
    """In the caller's transaction. Safe to repeat."""
    connection.exec_driver_sql(f"drop function if exists {_name(migration)}")


def _name(migration: Migration) -> str:
    return quote_identifier(SCHEMA, short_name("take", migration.id))


def _number(value: float) -> str:
    return f"{value!r}::float8"
