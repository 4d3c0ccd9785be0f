"""The figures and their goals. The median of the repetitions is held against the goal."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Goal:
    """`limit` is a least value, or with `at_most` a greatest."""

    name: str
    limit: float
    meaning: str
    at_most: bool = False

    def is_met(self, value: float) -> bool:
        return value <= self.limit if self.at_most else value >= self.limit

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.limit:g}"


GOALS = (
    Goal("backfill_vs_embedder_limit", 0.95,
         "the least time that 300 ms per 100 texts, 8 in flight, allows ÷ the backfill's"),
    Goal("backfill_vs_copy_floor_column", 0.45, "rows/s ÷ those of a bare binary COPY"),
    Goal("backfill_vs_copy_floor_side_table", 0.8, "the same, into a side table"),
    Goal("backfill_vs_naive", 12, "rows/s ÷ those of one UPDATE and commit a row"),
    Goal("striped_vs_plain_live_hnsw", 4, "rows/s beside a live HNSW ÷ those in key order"),
    Goal("hot_share", 0.85, "HOT updates among all of the backfill, beside a live HNSW"),
    Goal("side_table_vs_plain_live_hnsw", 15, "a side table's rows/s ÷ those in key order"),
    Goal("backfill_vs_vecshift", 4, "rows/s ÷ those of vecshift 0.4.0"),
    Goal("backfill_vs_vecshift_live_hnsw", 10, "the same beside a live HNSW"),
    Goal("app_insert_rate_with_triggers", 0.9,
         "inserts/s over 12 connections with our triggers ÷ without"),
    Goal("bulk_insert_with_triggers", 1.2, "time of one large INSERT with ÷ without", at_most=True),
    Goal("function_overhead_cpu_ms", 1.0, "CPU of a question beyond model and SQL", at_most=True),
    Goal("function_vs_handwritten_rps", 0.7, "questions/s ÷ those of a hand-written function"),
    Goal("function_vs_pgvectorstore_rps", 2, "questions/s ÷ those of LangChain's PGVectorStore"),
    Goal("coldstart_vs_vertexai_cpu", 0.5, "CPU of a cold start ÷ with `vertexai`", at_most=True),
    Goal("coldstart_vs_vertexai_memory", 0.5, "its memory ÷ with `vertexai`", at_most=True),
    Goal("cost_per_row_growth", 1.1, "time a row of the large table ÷ of the small", at_most=True),
    Goal("peak_memory_growth", 1.1, "peak memory on the large table ÷ on the small", at_most=True),
)  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """The ratios of all repetitions, and why there are none or the goal is missed."""

    goal: Goal
    values: Sequence[float]
    reason: str = ""

    @property
    def median(self) -> float | None:
        return median(self.values) if self.values else None

    @property
    def passed(self) -> bool | None:
        """None without a value."""
        return None if self.median is None else self.goal.is_met(self.median)

    def __str__(self) -> str:
        """One line for the terminal."""
        name = f"{self.goal.name:34} {self.goal!s:>7}  "
        if self.median is None:
            return f"{name}absent: {self.reason}"
        word = "passed" if self.passed else "MISSED"
        spread = " ".join(f"{v:8.3g}" for v in (min(self.values), self.median, max(self.values)))
        return f"{name}{spread}  {word} {'' if self.passed else self.reason}".rstrip()

    def as_json(self) -> dict[str, Any]:
        values = list(self.values)
        return {
            "goal": str(self.goal), "meaning": self.goal.meaning,
            "min": min(values, default=None), "median": self.median,
            "max": max(values, default=None), "repetitions": len(values),
            "passed": self.passed, "reason": self.reason, "values": values,
        }  # fmt: skip
