"""Readiness: what a migration needs beyond a table that can be migrated, before anything changes.

What the table itself lacks is told by `preflight`, when the migration is opened.
"""

import os
from collections.abc import Iterator
from datetime import date

import sqlalchemy as sa
from humanize import naturalsize
from pgvector.sqlalchemy import HALFVEC

from ragkit.app.grants import Check, checks
from ragkit.database import plain_errors
from ragkit.embedders import Embedder
from ragkit.errors import ModelError
from ragkit.migration.cost import Cost
from ragkit.migration.subject import Migration
from ragkit.models import Model
from ragkit.search import column_type

HNSW_VERSION, HALFVEC_VERSION = (0, 5), (0, 7)
"""Of pgvector, that had them first."""
SOON_DAYS = 365
INDEX_FACTOR = 1.5
"""An HNSW index holds the vectors again, and its graph."""


def readiness(
    migration: Migration, old: Embedder | None, new: Embedder, cost: Cost, today: date
) -> list[Check]:
    """`old` is None where it cannot be called. Writes nothing."""
    plan = migration.plan
    found = [
        *_extension(migration),
        _answers(new),
        Check("old model", "answers" if old else "cannot be called", bool(old) or None,
              "" if old else "stored vectors are compared; a rollback can serve no questions"),
        _retirement(migration.old.space.model, _model(old), today),
        _retirement(new.model.name, new.model, today),
        _quota(migration, new.model, cost),
        _disk(migration),
    ]  # fmt: skip
    if plan.app == "cloud":
        account = plan.service_account or os.environ.get("SERVICE_ACCOUNT", "")
        found += checks(os.environ.get("GCP_PROJECT_ID", ""), account)
    return found


def _extension(migration: Migration) -> Iterator[Check]:
    query = sa.text("select extversion from pg_extension where extname = 'vector'")
    with plain_errors("looking at pgvector"), migration.engine.connect() as connection:
        version = connection.scalar(query)
    half = isinstance(column_type(migration.new.space.dimension), HALFVEC)
    wanted = HALFVEC_VERSION if half else HNSW_VERSION
    passed = tuple(int(part) for part in version.split(".")[:2]) >= wanted
    way_out = "" if passed else "ALTER EXTENSION vector UPDATE;"
    yield Check("pgvector", version, passed, way_out)


def _answers(embedder: Embedder) -> Check:
    try:
        embedder.embed_query("airport")
    except ModelError as error:
        return Check("new model", str(error), False, "")
    return Check("new model", "answers", True)


def _model(embedder: Embedder | None) -> Model | None:
    return embedder.model if embedder else None


def _retirement(name: str, model: Model | None, today: date) -> Check:
    if model is None or model.retires is None:
        return Check(f"{name} retires", "no date known", None)
    days = (model.retires - today).days
    if days <= 0:
        return Check(f"{name} retires", f"it did, on {model.retires}", None)
    soon = "plan the next migration (params/next.yaml)" if days < SOON_DAYS else ""
    return Check(f"{name} retires", f"{model.retires}, in {days} days", True, soon)


def _quota(migration: Migration, model: Model, cost: Cost) -> Check:
    quota = migration.plan.requests_per_minute or model.requests_per_minute
    if not quota:
        return Check("quota", "none known", None)
    found = f"{cost.requests:,} requests, {quota:,} a minute: {cost.requests / quota:.1f} minutes"
    return Check("quota", found, True)


def _disk(migration: Migration) -> Check:
    """What column and index will take; how much is free, SQL cannot say."""
    dimension = migration.new.space.dimension
    size = 8 + dimension * (2 if isinstance(column_type(dimension), HALFVEC) else 4)
    rows = sa.select(sa.func.count()).select_from(migration.table)
    with plain_errors("looking at the disk"), migration.engine.connect() as connection:
        count = connection.scalar(rows)
        now = connection.scalar(sa.select(sa.func.pg_database_size(sa.func.current_database())))
    index = 0.0 if migration.plan.index_type == "none" else INDEX_FACTOR
    more = count * size * (1 + index)
    return Check("disk", f"{naturalsize(more)} more, the database has {naturalsize(now)}", None)
