"""The quota of a model: one row that all processes share, by the generic cell rate algorithm (GCRA,
ITU-T I.371). Each request is given its time, so that there are no bursts."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from ragkit.database.own_tables import create_own_tables
from ragkit.embedding.catalogue import Model
from ragkit.migration.plan.steps import BackfillSection
from ragkit.retrieval.contract import SCHEMA

QUOTA = sa.Table(
    "quota",
    sa.MetaData(schema=SCHEMA),
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("free_at", sa.DateTime(timezone=True), nullable=False),
)
_RESERVE = sa.text(f"""
    update {SCHEMA}.quota
    set free_at = greatest(free_at, clock_timestamp()) + make_interval(secs => :seconds)
    where model = :model
    returning extract(epoch from free_at - clock_timestamp()) - :seconds
""")
_LOOK = sa.text(f"""
    select extract(epoch from free_at - clock_timestamp()) from {SCHEMA}.quota where model = :model
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

    def seconds(self, requests: int, tokens: int) -> float:
        """How long so many requests and tokens take at this rate."""
        by_requests = requests * 60 / self.requests if self.requests else 0.0
        by_tokens = tokens * 60 / self.tokens if self.tokens else 0.0
        return max(by_requests, by_tokens)


def open_quota(connection: sa.Connection, model: Model) -> None:
    """Its table, and the model's row. Safe to repeat."""
    create_own_tables(connection, QUOTA.metadata)
    row = {"model": model.served_name, "free_at": sa.func.clock_timestamp()}
    connection.execute(insert(QUOTA).values(row).on_conflict_do_nothing())


def reserve(connection: sa.Connection, model: Model, seconds: float) -> float:
    """How long a request that takes so many seconds of the quota is to wait. Without a quota there
    may be a wait too: the service may have refused a question, which has precedence."""
    statement, values = (_RESERVE, {"seconds": seconds}) if seconds else (_LOOK, {})
    wait = connection.scalar(statement, {"model": model.served_name, **values})
    return max(0.0, float(wait or 0))


def waits(connection: sa.Connection, model: Model) -> float:
    """How long a request would wait now, in seconds; 0.0 before the first one."""
    found = sa.select(sa.func.to_regclass(QUOTA.fullname))
    if connection.scalar(found) is None:
        return 0.0
    return max(0.0, float(connection.scalar(_LOOK, {"model": model.served_name}) or 0))
