"""Readiness: what a migration needs besides a suitable table, before anything is changed.

What the table itself lacks is told by `preflight`, when the migration is opened.
"""

import os
from collections.abc import Iterator
from datetime import date

import sqlalchemy as sa
from humanize import naturalsize
from pgvector.sqlalchemy import HALFVEC

from ragkit.database.engine import MIN_POOL, POOL_SIZE
from ragkit.database.identifiers import quote_identifier
from ragkit.database.standbys import read_standbys
from ragkit.database.translate import translate_errors
from ragkit.database.types import vector_type
from ragkit.deploy.project_checks import Check, check_project
from ragkit.embedding.catalogue import Model
from ragkit.embedding.embedder import Embedder
from ragkit.migration.backfill.batch.preparing import is_by_jobs
from ragkit.migration.backfill.model_calls.quota import Quota
from ragkit.migration.inspection.checks.model_checks import check_models
from ragkit.migration.inspection.checks.way_checks import check_way
from ragkit.migration.inspection.cost import CostEstimate
from ragkit.migration.inspection.side_effects import side_effects
from ragkit.migration.inspection.whose.identification import Identification
from ragkit.migration.migration import Migration
from ragkit.migration.schema.index.choice.width import is_too_wide
from ragkit.migration.schema.index.sizing import HNSW_ROW_BYTES
from ragkit.migration.schema.privileges import app_grants, readers
from ragkit.migration.work.connections import read_room

HNSW_VERSION, HALFVEC_VERSION = (0, 5), (0, 7)
"""The first versions of pgvector with these; binary_quantize came with halfvec."""
INDEX_FACTOR = 1.5
"""An HNSW index holds the vectors again, and its graph."""


def check_readiness(
    migration: Migration,
    old: Embedder | None,
    new: Embedder,
    cost: CostEstimate,
    identification: Identification,
    today: date,
) -> list[Check]:
    """`old` is None when the old model cannot be called; `identification` is of the old vectors.
    Writes nothing. Raises DatabaseError."""
    app = migration.plan.app
    checks = [
        _database(migration),
        _extension(migration, new.model),
        *check_models(migration, old, new, identification, today),
        _quota(migration, new.model, cost),
        _disk(migration, new.model),
        _connections(migration),
        *_standbys(migration),
        *_app_rights(migration),
        *check_way(migration),
        *side_effects(migration),
    ]
    if app.target == "cloud":
        account = app.service_account or os.environ.get("SERVICE_ACCOUNT", "")
        checks += check_project(os.environ.get("GCP_PROJECT_ID", ""), account)
    return checks


def _database(migration: Migration) -> Check:
    """Whether the params file says which one it is about."""
    section, advice = migration.plan.database, ""
    if section.url == "env" and not section.expect:
        advice = f"before the cut-over, set database.expect: {migration.database}"
    return Check("database", migration.database, None if advice else True, advice)


def _extension(migration: Migration, model: Model) -> Check:
    query = sa.text("select extversion from pg_extension where extname = 'vector'")
    with translate_errors("checking pgvector"), migration.engine.connect() as connection:
        version: str = connection.scalars(query).one()
    is_half = isinstance(vector_type(model.dimension), HALFVEC)
    needs_new = is_half or migration.plan.index.type == "binary"
    required = HALFVEC_VERSION if needs_new else HNSW_VERSION
    passed = tuple(int(part) for part in version.split(".")[:2]) >= required
    return Check("pgvector", version, passed, "" if passed else "ALTER EXTENSION vector UPDATE;")


def _quota(migration: Migration, model: Model, cost: CostEstimate) -> Check:
    if is_by_jobs(migration):
        days = f"{cost.minutes / 60:g} hours at most"
        return Check("quota", f"{cost.requests:,} jobs of the batch API: {days}", True)
    quota = Quota.of(model, migration.plan.backfill)
    limits = [f"{quota.requests:,} requests" if quota.requests else "",
              f"{quota.tokens:,} tokens" if quota.tokens else ""]  # fmt: skip
    if not any(limits):
        return Check("quota", "none known", None)
    per_minute = " and ".join(limit for limit in limits if limit)
    minutes = quota.seconds(cost.requests, cost.tokens) / 60
    observed = f"{cost.requests:,} requests at {per_minute} a minute: {minutes:.1f} minutes"
    return Check("quota", observed, True)


def _disk(migration: Migration, model: Model) -> Check:
    """What column and index will take; SQL cannot tell how much is free."""
    dimension = model.dimension
    is_half = isinstance(vector_type(dimension), HALFVEC)
    vector_bytes = 8 + dimension * (2 if is_half else 4)
    database_size = sa.select(sa.func.pg_database_size(sa.func.current_database()))
    with translate_errors("estimating the disk"), migration.engine.connect() as connection:
        rows = connection.scalar(migration.select(sa.func.count())) or 0
        current = connection.scalar(database_size) or 0
    needed = rows * (vector_bytes + _index_bytes(migration, vector_bytes))
    observed = f"{naturalsize(needed)} more, the database has {naturalsize(current)}"
    return Check("disk", observed, None)


def _index_bytes(migration: Migration, vector_bytes: int) -> float:
    """Of a row."""
    kind = migration.plan.index.type
    if kind == "none" or is_too_wide(migration):
        return 0.0
    if kind == "binary":
        return HNSW_ROW_BYTES + migration.new.space.dimension / 8
    return INDEX_FACTOR * vector_bytes


def _connections(migration: Migration) -> Check:
    """For how many processes at once the server has room."""
    room = read_room(migration)
    has_room = room.pooler or room.processes
    advice = "" if has_room else f"set {POOL_SIZE} to {MIN_POOL}, or raise {room.limit}"
    return Check("connections", str(room), None, advice)


def _standbys(migration: Migration) -> Iterator[Check]:
    """Whether the backfill can slow down for them."""
    role = sa.select(sa.func.current_user())
    with translate_errors("looking for standbys"), migration.engine.connect() as connection:
        standbys, name = read_standbys(connection), connection.scalars(role).one()
    if standbys.hidden:
        observed = f"{standbys.count}, and this role may not see how far they are behind: the "
        observed += "backfill would not slow down for them"
        yield Check("standbys", observed, None, f"GRANT pg_monitor TO {quote_identifier(name)};")
    elif standbys.count:
        yield Check("standbys", f"{standbys.count}, {standbys.lag_seconds:.1f} s behind", True)


def _app_rights(migration: Migration) -> Iterator[Check]:
    """For each role that may be the app's: ragkit's function reads the contract too. An app that is
    asked by a check is another one."""
    if migration.plan.check.field:
        return
    with translate_errors("looking at the app's rights"), migration.engine.connect() as connection:
        names = readers(connection, migration.quoted_table)
    schema = migration.plan.table.schema_name
    tables = dict.fromkeys((migration.quoted_table, migration.new_place[0]))
    for name in names:
        lines = " ".join(app_grants(name, schema, *tables))
        observed = "reads the table; ragkit's function under it needs these rights, once the "
        yield Check(f"role {name}", f"{observed}backfill has begun", None, lines)
