"""rescue.json: the figures of a rescue, each with its interval where it has one."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ragkit.evaluation.metrics.bootstrap import Interval
from ragkit.evaluation.rescued.quality import Step
from ragkit.evaluation.rescued.trial import Trial, time_map
from ragkit.runbook.report_pages.results import write_json
from ragkit.runbook.rescue.steps import RescueRun

RESCUE = "rescue.json"


def write_rescue(rescue: RescueRun) -> Path:
    """What is not known is null: without judgements, for example, `quality_measured`."""
    return write_json(rescue.runbook.run_dir, RESCUE, figures(rescue))


def figures(rescue: RescueRun) -> dict[str, Any]:
    """`quality_estimated` is the quality of the candidates, `quality_measured` the nDCG of the
    answers; `refused` says why there is no bridge."""
    bridge = rescue.curve[-1].fitting.bridge if rescue.curve else None
    result = rescue.curve[-1].fitting.result if rescue.curve else None
    quality, trial = rescue.quality, rescue.trial
    return {
        "pairs": result.pairs if result else 0,
        "bought": rescue.curve[-1].fitting.bought if rescue.curve else 0,
        "foreign": result.foreign if result else 0,
        "method": (result.method or None) if result else None,
        "overlap": _interval(result.overlap) if result else None,
        "refused": result.refused if result else "rescue.pairs is 0",
        "map_ms": time_map(bridge) if bridge else None,
        "quality_estimated": _interval(quality.best) if quality else None,
        "quality_by_way": {way: _interval(each) for way, each in quality.ways.items()}
        if quality else None,
        "quality_by_pairs": [_step(step) for step in rescue.curve],
        "depth": quality.depth if quality else None,
        "questions": quality.questions if quality else 0,
        "is_proxy": quality.is_proxy if quality else None,
        "quality_measured": _interval(trial.quality) if trial else None,
        "seconds_to_first_answer": rescue.seconds,
        "latency_ms": _latency(trial) if trial else None,
        "texts_bought_per_request": dict(zip(("first", "again"), trial.bought, strict=True))
        if trial else None,
        "degraded": sum(asked.degraded != "no" for asked in trial.asked) if trial else None,
    }  # fmt: skip


def _step(step: Step) -> dict[str, Any]:
    return {
        "pairs": step.fitting.result.pairs,
        "overlap": _interval(step.fitting.result.overlap),
        "quality": _interval(step.quality.best) if step.quality else None,
    }


def _interval(interval: Interval | None) -> dict[str, float] | None:
    return asdict(interval) if interval else None


def _latency(trial: Trial) -> dict[str, dict[str, float]]:
    return {"cold": asdict(trial.cold), "warm": asdict(trial.warm)}
