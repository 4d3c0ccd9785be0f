"""rehearsal.json: what was measured on the sample, and what it says about the whole table."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ragkit.migration.rehearsal.forecast import Forecast
from ragkit.runbook.rehearsal.steps import Rehearsal
from ragkit.runbook.report_pages.results import write_json

REHEARSAL = "rehearsal.json"


@dataclass(frozen=True)
class Quality:
    """Of the sample, with intervals. `change` is that of the first metric over judged questions, or
    over known items; without any, `neighbours` says how many of its nearest rows a row keeps."""

    verdict: str
    change: str | None
    neighbours: str | None
    recall: str | None


def quality(rehearsal: Rehearsal) -> Quality:
    found = quality_figures(rehearsal)
    return Quality(
        verdict=found["verdict"] or f"none: {rehearsal.why_not}",
        change=_text(found["change"]),
        neighbours=_text(found["neighbours"]),
        recall=_text(found["recall"]),
    )


def quality_figures(rehearsal: Rehearsal) -> dict[str, Any]:
    """None for what the sample does not tell."""
    evidence, verdict = rehearsal.evidence, rehearsal.verdict
    figures: dict[str, Any] = dict.fromkeys(("verdict", "change", "neighbours", "recall"))
    figures["verdict"] = verdict.verdict if verdict else None
    figures["gates"] = [asdict(gate) for gate in verdict.gates] if verdict else []
    if not evidence:
        return figures
    if evidence.differences:
        first = evidence.differences[0]
        figures["change"] = {
            "metric": first.metric, "old": first.old, "new": first.new, "n": first.n,
            **asdict(first.change),
        }  # fmt: skip
    near = evidence.neighbourhoods
    figures["neighbours"] = {"metric": f"overlap@{near.k}", "n": near.rows, **asdict(near.overlap)}
    for one in evidence.index:
        if one.side == "new" and one.default:
            figures["recall"] = {"metric": one.setting, "n": one.n, **asdict(one.recall)}
    return figures


def write_rehearsal(
    rehearsal: Rehearsal, forecast: Forecast, explained: Sequence[str], folder: Path
) -> Path:
    """Without a text of a row."""
    plan = rehearsal.runbook.plan
    body = {
        "migration": plan.migration_id,
        "old_model": plan.old.model,
        "new_model": plan.new.model,
        "share": rehearsal.share,
        "sample": asdict(rehearsal.sample),
        **asdict(rehearsal.measured),
        **quality_figures(rehearsal),
        "why_no_verdict": rehearsal.why_not or None,
        "forecast": asdict(forecast),
        "explained": list(explained),
    }
    return write_json(folder, REHEARSAL, body)


def _text(figure: dict[str, Any] | None) -> str | None:
    if figure is None:
        return None
    sign = "+" if "old" in figure else ""
    mean, low, high = (f"{figure[name]:{sign}.3f}" for name in ("mean", "low", "high"))
    return f"{figure['metric']} {mean} ({low} to {high}), n = {figure['n']:,}"
