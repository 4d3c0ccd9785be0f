"""The quota of a model: one row that all processes share, by the generic cell rate algorithm (GCRA,
ITU-T I.371), on the database's clock.

Each request is given its time, in the order in which they ask, so that there is no burst of
requests. Tokens have a time of their own, which requests may be BURST_SECONDS ahead of: where small
requests and large ones take turns, neither quota is left unused. Whoever is killed takes the times
of its requests along, and no more.
"""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from ragkit.database.own_tables import create_own_tables
from ragkit.database.wire.round_trip import ask_alone, number
from ragkit.embedding.catalogue import Model
from ragkit.migration.plan.backfill import BackfillSection
from ragkit.retrieval.contract import SCHEMA

BURST_SECONDS = 1.0
"""So many seconds of the tokens' quota may be used at once when they were left unused before."""
SETTINGS = {"lock_timeout": "60s", "statement_timeout": "90s"}
"""A row that all workers share is locked for the time of a statement, unless somebody does so by
hand."""
_time = sa.DateTime(timezone=True)
QUOTA = sa.Table(
    "quota",
    sa.MetaData(schema=SCHEMA),
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("free_at", _time, nullable=False),
    sa.Column("tokens_free_at", _time, nullable=False, server_default=sa.func.clock_timestamp()),
)
_ADD_TOKENS = f"""
    alter table {SCHEMA}.quota
    add column if not exists tokens_free_at timestamptz not null default clock_timestamp()
"""
_HAS_TOKENS = sa.text("""
    select exists (select from pg_attribute where attrelid = to_regclass(:table)
                   and attname = 'tokens_free_at' and not attisdropped)
""")
_START = "greatest(free_at, tokens_free_at, clock_timestamp())"
_RESERVE = f"""
    update {SCHEMA}.quota
    set free_at = {_START} + make_interval(secs => $2::float8),
        tokens_free_at = make_interval(secs => $3::float8)
            + greatest(tokens_free_at, {_START} - make_interval(secs => {BURST_SECONDS}))
    where model = $1::text
    returning extract(epoch from free_at - clock_timestamp())::float8 - $2::float8
"""
_LOOK = sa.text(f"""
    select extract(epoch from {_START} - clock_timestamp())
    from {SCHEMA}.quota where model = :model
""")


@dataclass(frozen=True)
class Quota:
    """Per minute; None is no limit."""

    requests: int | None
    tokens: int | None

    @classmethod
    def of(cls, model: Model, settings: BackfillSection) -> "Quota":
        """The plan's quota where it names one, else the catalogue's."""
        return cls(
            settings.requests_per_minute or model.requests_per_minute,
            settings.tokens_per_minute or model.tokens_per_minute,
        )

    def request_seconds(self, requests: int) -> float:
        """How long so many requests take at this rate."""
        return requests * 60 / self.requests if self.requests else 0.0

    def token_seconds(self, tokens: int) -> float:
        return tokens * 60 / self.tokens if self.tokens else 0.0

    def seconds(self, requests: int, tokens: int) -> float:
        """How long both take."""
        return max(self.request_seconds(requests), self.token_seconds(tokens))


def open_quota(connection: sa.Connection, model: Model) -> None:
    """Its table, and the model's row. Safe to repeat."""
    create_own_tables(connection, QUOTA.metadata)
    if not connection.scalar(_HAS_TOKENS, {"table": QUOTA.fullname}):  # of an earlier version
        connection.exec_driver_sql(_ADD_TOKENS)
    now = sa.func.clock_timestamp()
    row = {"model": model.served_name, "free_at": now, "tokens_free_at": now}
    connection.execute(insert(QUOTA).values(row).on_conflict_do_nothing())


def reserve(connection: sa.Connection, model: Model, quota: Quota, tokens: int) -> float:
    """How long a request with so many tokens is to wait, in seconds; in a transaction of its own.
    Fewer than 0 give back what was reserved for earlier ones. Without a quota there may be a wait
    too: the service may have refused a question, which has precedence."""
    seconds = quota.request_seconds(1), quota.token_seconds(tokens)
    if not any(seconds):
        return waits(connection, model)
    values = [model.served_name.encode(), *map(number, seconds)]
    [[wait]] = ask_alone(connection, _RESERVE, values, SETTINGS)
    return max(0.0, float(wait))


def waits(connection: sa.Connection, model: Model) -> float:
    """How long a request would wait now, in seconds; 0.0 before the first one of all."""
    if not connection.scalar(_HAS_TOKENS, {"table": QUOTA.fullname}):
        return 0.0
    return max(0.0, float(connection.scalar(_LOOK, {"model": model.served_name}) or 0))
