"""What is compared with what: contenders, tables, and the ratio of each figure."""

from dataclasses import dataclass
from pathlib import Path

from tests.bench.contenders import Ratio, Run, Scenario, script
from tests.bench.embedders import FAST, SLOW
from tests.bench.peers.environments import python_of
from tests.bench.tables import TableShape

VECSHIFT = "vecshift==0.4.0"


@dataclass(frozen=True)
class Sizes:
    """Rows of the tables. `slow`: of a way whose rate is measured on a part of the table."""

    limit: int = 20_000
    table: int = 20_000
    slow: int = 2000
    live: int = 20_000
    growth: tuple[int, int] = (10_000, 200_000)
    bulk: int = 200_000


def vecshift() -> Path:
    return python_of("vecshift", VECSHIFT)


def embedder_limit(sizes: Sizes) -> Scenario:
    """One contender: the limit is known."""
    shape, speed = TableShape(sizes.limit, 768), (SLOW.seconds, SLOW.texts)
    limit = SLOW.limit_seconds(sizes.limit)
    return Scenario(
        [script("column", "backfill", shape, 768, speed=speed)],
        {"backfill_vs_embedder_limit": Ratio("column", lambda r: limit / r["column"]["seconds"])},
    )


def without_index(sizes: Sizes) -> Scenario:
    """An embedder that costs nothing, and no index on the old column."""
    shape = TableShape(sizes.table, 768)
    return Scenario(
        [
            script("floor", "peers.copy_floor", shape, 768),
            script("column", "backfill", shape, 768),
            script("side table", "backfill", shape, 768, placement="side_table"),
            script("naive", "peers.naive", shape, 768, limit=sizes.slow),
            script(
                "vecshift", "peers.vecshift_apply", shape, 768, limit=sizes.slow, python=vecshift
            ),
        ],
        {
            "backfill_vs_copy_floor_column": rates("column", "floor"),
            "backfill_vs_copy_floor_side_table": rates("side table", "floor"),
            "backfill_vs_naive": rates("column", "naive"),
            "backfill_vs_vecshift": Ratio("column", against_vecshift),
        },
    )


def live_index(sizes: Sizes) -> Scenario:
    """The same beside an HNSW index on the old column, which the app searches."""
    shape = TableShape(sizes.live, 768, hnsw=True)
    return Scenario(
        [
            script("plain", "peers.plain", shape, 768, limit=sizes.slow),
            script("column", "backfill", shape, 768),
            script("side table", "backfill", shape, 768, placement="side_table"),
            script(
                "vecshift", "peers.vecshift_apply", shape, 768, limit=sizes.slow, python=vecshift
            ),
        ],
        {
            "striped_vs_plain_live_hnsw": rates("column", "plain"),
            "hot_share": Ratio("column", lambda runs: runs["column"]["hot_share"]),
            "side_table_vs_plain_live_hnsw": rates("side table", "plain"),
            "backfill_vs_vecshift_live_hnsw": Ratio("column", against_vecshift),
        },
    )


def growth(sizes: Sizes) -> Scenario:
    """Short vectors, which stay in the row: they hide least of what grows with the table."""
    speed = (FAST.seconds, FAST.texts)
    named = zip(("small", "large"), sizes.growth, strict=True)
    shapes = [(name, TableShape(rows, 64)) for name, rows in named]
    return Scenario(
        [script(name, "backfill", shape, 256, speed=speed) for name, shape in shapes],
        {
            "cost_per_row_growth": Ratio("large", rates("small", "large").of),
            "peak_memory_growth": Ratio(
                "large", lambda runs: runs["large"]["peak_mb"] / runs["small"]["peak_mb"]
            ),
        },
    )


def rates(contender: str, other: str) -> Ratio:
    """Rows a second of one, divided by those of the other."""
    return Ratio(contender, lambda runs: runs[contender].rate / runs[other].rate)


def against_vecshift(runs: dict[str, Run]) -> float:
    """With the column and the triggers, which vecshift's `apply` makes too."""
    own = runs["column"]
    return own["rows"] / (own["seconds"] + own["expand_seconds"]) / runs["vecshift"].rate
