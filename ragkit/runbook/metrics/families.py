"""Figures as families of Prometheus: gauges for what rises and falls, counters, with `_total`, for
what only grows. See https://prometheus.io/docs/practices/naming/."""

from collections.abc import Iterator, Mapping
from dataclasses import fields

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from ragkit import __version__
from ragkit.migration import phases
from ragkit.migration.backfill.model_calls.costs import BATCHES, QUESTIONS
from ragkit.migration.plan import Plan
from ragkit.migration.rehearsal.money import REHEARSAL
from ragkit.runbook.metrics.figures import Figures, Work

BACKFILL = "backfill"
"""The step of a worker that fills; a follower's too."""


class Families:
    """Samples by the name of their family. Every one has the label `migration`, but for what is the
    database's."""

    def __init__(self) -> None:
        self._families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}

    def __iter__(self) -> Iterator[Metric]:
        return iter(self._families.values())

    def gauge(self, name: str, text: str, value: float, **labels: str) -> None:
        self._add(GaugeMetricFamily, name, text, value, labels)

    def counter(self, name: str, text: str, value: float, **labels: str) -> None:
        self._add(CounterMetricFamily, name, text, value, labels)

    def _add(
        self,
        kind: type[CounterMetricFamily] | type[GaugeMetricFamily],
        name: str,
        text: str,
        value: float,
        labels: Mapping[str, str],
    ) -> None:
        if name not in self._families:
            self._families[name] = kind(name, text, labels=list(labels))
        self._families[name].add_metric(list(labels.values()), value)


def families(looks: Mapping[str, tuple[Plan, Figures | None]]) -> Families:
    """Of migrations by their id. Of one whose figures are None, because the database did not answer
    in time, only that is told, and nothing of what was known before."""
    told = Families()
    for migration, (plan, figures) in looks.items():
        is_up = float(figures is not None)
        told.gauge("ragkit_up", "1: the database answered this scrape.", is_up, migration=migration)
        if figures:
            _tell(told, migration, plan, figures)
    works = [figures.work for _, figures in looks.values() if figures]
    if works:
        _tell_workers(told, next(filter(None, works), None))
    return told


def _tell(told: Families, migration: str, plan: Plan, figures: Figures) -> None:
    told.gauge(
        "ragkit_migration_info", "The tables, models and ragkit behind a migration.", 1,
        migration=migration, table=plan.name, old_model=plan.old.model, new_model=plan.new.model,
        version=__version__,
    )  # fmt: skip
    for phase in phases.FOLLOWERS:
        is_now = float(phase == figures.phase)
        told.gauge(
            "ragkit_phase", "1 for the phase that was reached.", is_now,
            migration=migration, phase=phase,
        )  # fmt: skip
    _tell_rows(told, migration, figures)
    _tell_costs(told, migration, plan, figures)
    _tell_control(told, migration, figures)
    _tell_index(told, migration, figures)


def _tell_rows(told: Families, migration: str, figures: Figures) -> None:
    rows = figures.rows
    states = {"filled": rows.filled, "pending": rows.pending, "empty": rows.empty,
              "dead_letter": rows.dead_letters}  # fmt: skip
    for state, count in states.items():
        told.gauge(
            "ragkit_rows", "Rows of the table; of a large one, an estimate by a sample.", count,
            migration=migration, state=state,
        )  # fmt: skip
    if (work := figures.work) is None:
        return
    for name, text, value in (
        ("ragkit_sweep_blocks", "Blocks of the table that the backfill walks once.",
         work.sweep.blocks),
        ("ragkit_sweep_done_blocks", "Blocks that are behind its marks.", work.sweep.done),
        ("ragkit_sweep_claims", "Ranges of blocks that workers are busy with.", work.sweep.claims),
        ("ragkit_queue_keys", "Keys of written rows that wait; 10001 for any more.",
         work.queue.keys),
        ("ragkit_queue_age_seconds", "For how long the oldest of them waits.",
         work.queue.oldest_seconds),
        ("ragkit_dead_letters", "Refused rows on the list, edited ones too.", work.dead_letters),
    ):  # fmt: skip
        told.gauge(name, text, value, migration=migration)
    for counted in fields(work.jobs):
        if counted.name != "rows":
            told.gauge(
                "ragkit_batch_jobs", "Jobs of the provider's batch API.",
                getattr(work.jobs, counted.name), migration=migration, state=counted.name,
            )  # fmt: skip
    told.gauge(
        "ragkit_batch_rows", "Rows in jobs that have not ended.", work.jobs.rows,
        migration=migration,
    )  # fmt: skip


def _tell_costs(told: Families, migration: str, plan: Plan, figures: Figures) -> None:
    for cost in figures.costs:
        kinds = {QUESTIONS: "questions", BATCHES: "batches", REHEARSAL: "rehearsal"}
        suffix = next((each for each in kinds if cost.model.endswith(each)), "")
        labels = {
            "migration": migration,
            "model": cost.model.removesuffix(suffix),
            "kind": kinds.get(suffix, "rows"),
        }
        told.counter("ragkit_requests_total", "Requests that were paid.", cost.requests, **labels)
        told.counter(
            "ragkit_tokens_total", "Tokens, as the service counted them.", cost.tokens, **labels
        )
        told.counter("ragkit_spent_usd_total", "At the catalogue's price.", cost.usd, **labels)
    if budget := plan.backfill.budget_usd:
        left = max(0.0, budget - figures.spent_usd)
        told.gauge("ragkit_budget_usd", "backfill.budget_usd.", budget, migration=migration)
        told.gauge(
            "ragkit_budget_left_usd", "Without what runs at the provider.", left,
            migration=migration,
        )  # fmt: skip
    if figures.quota:
        quotas = {"requests": figures.quota.requests, "tokens": figures.quota.tokens}
        for unit, quota in quotas.items():
            if quota:
                told.gauge(
                    f"ragkit_quota_{unit}_per_minute", "Of the model; all workers share it.",
                    quota, migration=migration,
                )  # fmt: skip
        told.gauge(
            "ragkit_quota_wait_seconds", "How long a request waits for it now.",
            figures.quota_wait_seconds, migration=migration,
        )  # fmt: skip


def _tell_control(told: Families, migration: str, figures: Figures) -> None:
    if (settings := figures.settings) is None:
        return
    held = {"paused": settings.paused, "window": figures.is_closed}
    for reason, is_held in held.items():
        told.gauge(
            "ragkit_held", "1: no request starts, because of people, or of the hour.",
            float(is_held), migration=migration, reason=reason,
        )  # fmt: skip
    told.gauge("ragkit_pace_ratio", "Of the plan's pace.", settings.pace, migration=migration)
    told.gauge(
        "ragkit_cutover_postponed", "1: ragkit cutover refuses.", float(settings.postponed),
        migration=migration,
    )  # fmt: skip


def _tell_index(told: Families, migration: str, figures: Figures) -> None:
    index, build = figures.index, figures.build
    told.gauge(
        "ragkit_index_valid", "1: it can be searched.", float(index.valid), migration=migration
    )
    told.gauge("ragkit_index_bytes", "Of the new index.", index.bytes, migration=migration)
    if build and build.total:
        told.gauge(
            "ragkit_index_build_ratio", "Of PostgreSQL's phase of a build that is under way.",
            min(1.0, build.done / build.total), migration=migration, phase=build.phase,
        )  # fmt: skip


def _tell_workers(told: Families, work: Work | None) -> None:
    """The database's, as many migrations as there are."""
    for step, count in {BACKFILL: 0, **(work.workers if work else {})}.items():
        told.gauge("ragkit_workers", "Processes that are alive.", count, step=step)
