"""The verdict and its figures in sentences: why, and what changes for the app's users."""

from typing import Any

from ragkit.evaluation.metrics.bootstrap import CONFIDENCE
from ragkit.migration.verdict import GO, NO_GO, Verdict, gates_in_words
from ragkit.runbook.report_pages.people import people_sentences

INTERVAL = f"{100 * CONFIDENCE:.0f} % interval"


def why(verdict: Verdict) -> str:
    """One sentence: the gain when every gate passed, else the gates that decide."""
    gates = verdict.gates
    failed = [gate for gate in gates if gate.passed is False]
    deciding = failed or [gate for gate in gates if gate.passed is None]
    if deciding:
        word = "failed" if failed else "could not be decided"
        return f"{len(deciding)} of {len(gates)} gates {word}: {gates_in_words(deciding)}."
    metrics = verdict.figures.get("metrics") or {}
    gain = next((f"; {name} {_change(m['change'])}" for name, m in metrics.items()), "")
    return f"Every one of {len(gates)} gates passed{gain}."


def what_changes(figures: dict[str, Any]) -> list[str]:
    """Sentences on the rows that users see, their quality, the worst slice and the time; [] without
    figures."""
    if not figures:
        return []
    if not figures["questions"]:
        kept, neighbours = figures["overlap"], figures["neighbours"]
        return [
            *people_sentences(figures["people"]),
            "No question was asked of both models, so nothing says which rows users will see.",
            f"A stored row keeps {_percent(kept['mean'])} of its {neighbours['k']} nearest rows.",
        ]
    return [
        *people_sentences(figures["people"]),
        *_rows(figures),
        *_quality(figures),
        *_worst_slice(figures),
        *_latency(figures),
    ]


def stopped_by_verdict(verdict: Verdict | None, stopped: dict[str, str] | None) -> bool:
    """Whether the run ended as it should without a GO, as `require_go` says, not with an error."""
    if verdict is None or stopped is None or verdict.verdict == GO:
        return False
    return stopped["reason"].startswith(f"{verdict.verdict}: ")


def next_step(verdict: Verdict | None, stopped: dict[str, str] | None) -> str:
    """What to do about a run that stopped; empty for one that did not."""
    if stopped is None:
        return ""
    if verdict and stopped_by_verdict(verdict, stopped):
        way = (
            "Mend what the failed gates say, or choose another model"
            if verdict.verdict == NO_GO
            else "Give the undecided gates what they ask for"
        )
        return (
            f"This run did not switch the app. {way}, and run it again; or give a reason to go on "
            "in gates.override."
        )
    return (
        "Mend the cause and run the same command again: what is done is kept, and a migration "
        "under way is continued."
    )


def _rows(figures: dict[str, Any]) -> list[str]:
    first, k = figures["first_row_changed"], figures["neighbours"]["k"]
    text = f"The first row is another one for {_percent(first['mean'])} of the questions"
    text += f" ({INTERVAL} {_percent(first['low'])} to {_percent(first['high'])})"
    if not figures["least_overlap"]:
        others = _percent(1 - figures["overlap"]["mean"])
        text += f", and of the first {k} rows {others} are others"
    return [f"{text}."]


def _quality(figures: dict[str, Any]) -> list[str]:
    if not figures["metrics"]:
        return ["No question was judged, so nothing says whether the rows are better or worse."]
    name, metric = next(iter(figures["metrics"].items()))
    change = metric["change"]
    verb = "rises" if change["mean"] > 0 else "falls" if change["mean"] < 0 else "stays"
    chance = "; that may be chance" if change["low"] <= 0 <= change["high"] else ""
    is_proxy = figures["questions"]["proxy"]
    asked = "known items, a proxy that favours a lexical model" if is_proxy else "judged questions"
    return [
        f"{name} {verb} from {metric['old']:.3f} to {metric['new']:.3f}, "
        f"{_change(change)}{chance}; of {metric['n']:,} {asked}, {metric['wins']} gain and "
        f"{metric['losses']} lose.",
        *_unfindable(figures),
    ]


def _unfindable(figures: dict[str, Any]) -> list[str]:
    counts = figures["questions"]
    if not counts.get("unfindable"):
        return []
    return [
        f"For {counts['unfindable']} of {counts['judged']} judged questions no relevant row has a "
        "new vector, so that no model could find one: embed those rows first, or judge the model "
        "by the others."
    ]


def _worst_slice(figures: dict[str, Any]) -> list[str]:
    worst = figures["worst_slice"]
    if worst is None:
        return []
    change, count = worst["change"], len(figures["slices"])
    if change["mean"] >= 0:
        return [f"None of {count} slices loses in the mean."]
    chance = "" if change["high"] < 0 else "; that may be chance"
    return [
        f"The slice that loses most is {worst['kind']} {worst['name']}, {worst['n']} questions: "
        f"{change['mean']:+.3f} ({change['low']:+.3f} to {change['high']:+.3f}, corrected for "
        f"{count} slices){chance}."
    ]


def _latency(figures: dict[str, Any]) -> list[str]:
    old, new = figures["p50_ms"]["old"], figures["p50_ms"]["new"]
    if old is None:
        return [f"The way from a question to its rows takes {new:.1f} ms in the median."]
    return [
        f"The way from a question to its rows takes {new / max(old, 0.01):.1f} times as long, "
        f"{old:.1f} → {new:.1f} ms in the median."
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _change(change: dict[str, float]) -> str:
    return f"{change['mean']:+.3f} ({INTERVAL} {change['low']:+.3f} to {change['high']:+.3f})"
