"""How much memory and how many workers a build takes, from the server's own figures."""

from dataclasses import dataclass, replace

import sqlalchemy as sa
from pgvector.sqlalchemy import HALFVEC

from ragkit.database.types import vector_type
from ragkit.migration.migration import Migration
from ragkit.migration.schema.index import ivfflat

MB = 2**20
MIN_MB = 16
HNSW_ROW_BYTES = 720
"""Of a row in the graph beside its vector's values, with pgvector's default m; measured by its
notice that the graph no longer fits, see tests/migration/schema/index/test_sizing.py."""
BIT_HEADER_BYTES = 8
"""Of PostgreSQL's type bit."""
PROCESS_MB = 32
"""PostgreSQL starts a worker only if each process gets so much (plan_create_index_workers)."""
MARGIN = 1.25
"""Of the estimate of the rows."""
SHARED_MEMORY = "shared memory"
"""In PostgreSQL's message when a container's /dev/shm does not hold a parallel build's memory."""
_SERVER = sa.text("""
    select pg_size_bytes(current_setting('shared_buffers')) as shared_buffers,
           (select pg_size_bytes(setting || unit) from pg_settings
            where name = 'maintenance_work_mem') as maintenance_work_mem,
           least(current_setting('max_parallel_maintenance_workers')::int,
                 current_setting('max_parallel_workers')::int,
                 current_setting('max_worker_processes')::int) as workers,
           current_setting('max_connections')::int
               - current_setting('superuser_reserved_connections')::int
               - (select sum(numbackends) from pg_stat_database)::int as free_connections
""")
_MEMORY = "set maintenance_work_mem = '{:d}MB'"
_WORKERS = "set max_parallel_maintenance_workers = {:d}"


@dataclass(frozen=True)
class Sizing:
    """`memory_mb` and `workers` of the building session, and why; `needed_mb`: what the whole
    index takes while it is built. `lists` are IVFFlat's; 0 for another index."""

    memory_mb: int
    workers: int
    needed_mb: int
    lists: int
    why: str

    def apply(self, connection: sa.Connection) -> None:
        """To a session that is kept."""
        connection.exec_driver_sql(_MEMORY.format(self.memory_mb))
        connection.exec_driver_sql(_WORKERS.format(self.workers))

    def alone(self) -> "Sizing":
        """By one process, where the server's shared memory is too small for several."""
        return replace(self, workers=0, why=f"{self.why}; no workers: {SHARED_MEMORY} is too small")

    @property
    def fits(self) -> bool:
        """Whether the build needs no slower second phase."""
        return self.needed_mb <= self.memory_mb


def choose_sizing(
    connection: sa.Connection, migration: Migration, rows: int, *, may_set: bool
) -> Sizing:
    """For an index of about `rows`. Without `may_set`, behind a pooler, the server's own
    settings hold, whatever the plan says.

    The memory is that of the plan, else what the index and its workers need, up to shared_buffers
    or the server's maintenance_work_mem, whichever is more: no more than the server's owner has
    given to PostgreSQL for one purpose. The workers are those of the plan, else what the server
    allows, up to half of its free connections: a server that is nearly full is busy.
    """
    server, plan = connection.execute(_SERVER).one(), migration.plan.index
    needed = max(MIN_MB, _needed_bytes(migration, rows) // MB + 1)
    own = server.maintenance_work_mem // MB
    if not may_set:
        memory, workers = own, server.workers
        why = "the server's own: behind a pooler without database.direct nothing can be set"
    else:
        ceiling = max(own, server.shared_buffers // MB)
        workers = plan.workers or max(0, min(server.workers, server.free_connections // 2))
        for_workers = PROCESS_MB * (workers + 1) if needed > PROCESS_MB else 0
        memory = plan.memory_mb or min(max(needed, for_workers), ceiling)
        workers = plan.workers or min(workers, max(0, memory // PROCESS_MB - 1))
        why = "; ".join(_reasons(migration, needed, ceiling, server.free_connections))
    lists = 0
    if plan.type == "ivfflat":
        lists = ivfflat.fitting_lists(rows, _vector_bytes(migration), memory * MB)
    return Sizing(memory, workers, needed, lists, why)


def _reasons(migration: Migration, needed: int, ceiling: int, free: int) -> list[str]:
    plan = migration.plan.index
    if plan.memory_mb:
        memory = "memory by index.memory_mb"
    elif needed <= ceiling:
        memory = f"the index needs about {needed:,} MB"
    else:
        memory = f"the index needs about {needed:,} MB, the server's settings allow {ceiling:,} MB"
    if plan.workers:
        return [memory, "workers by index.workers"]
    return [memory, f"workers by the server's settings and {max(0, free)} free connections"]


def _needed_bytes(migration: Migration, rows: int) -> int:
    """Of the build of the whole index in memory."""
    vector, rows = _vector_bytes(migration), int(MARGIN * rows)
    if migration.plan.index.type == "ivfflat":
        return ivfflat.build_bytes(ivfflat.advised_lists(rows), rows, vector)
    return rows * (vector + HNSW_ROW_BYTES)


def _vector_bytes(migration: Migration) -> int:
    """Of the values of a vector in the index."""
    dimension = migration.new.space.dimension
    if migration.plan.index.type == "binary":
        return BIT_HEADER_BYTES + dimension // 8
    return dimension * (2 if isinstance(vector_type(dimension), HALFVEC) else 4)
