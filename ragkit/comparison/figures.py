"""All figures of a comparison as plain data, for comparison.json."""

from dataclasses import asdict

import pandas as pd

from ragkit.comparison.compare import Comparison
from ragkit.comparison.cutoff import Cutoff
from ragkit.comparison.metrics import interval
from ragkit.comparison.neighbours import Neighbourhoods
from ragkit.comparison.statistics import differences
from ragkit.migration.verdict import Verdict


def figures(
    comparison: Comparison | None,
    near: Neighbourhoods,
    cutoff: Cutoff | None,
    verdict: Verdict,
    seed: int,
) -> dict:
    """`metrics`, `overlap` and `rbo` are of questions, and empty where none were asked;
    `neighbours`, `cka` and `cutoff` are of stored vectors. The same seed gives the same figures."""
    body: dict = {"verdict": verdict.verdict, "gates": [asdict(g) for g in verdict.gates]}
    body |= {"metrics": {}, "overlap": None, "rbo": None, "seed": seed}
    if comparison:
        found = differences(comparison.old_scores, comparison.new_scores, seed)
        body["metrics"] = {each.metric: asdict(each) for each in found}
        body["overlap"] = _with_interval(comparison.overlap, seed)
        body["rbo"] = _with_interval(comparison.rbo, seed)
    body["neighbours"] = {"k": near.k, "rows": near.rows, **asdict(near.overlap)}
    moved = cutoff and {
        "old": cutoff.old, "new": asdict(cutoff.new), "selectivity": cutoff.selectivity
    }  # fmt: skip
    return body | {"cka": near.cka, "cosine": near.cosine, "cutoff": moved}


def _with_interval(values: pd.Series, seed: int) -> dict:
    return asdict(interval(values.to_numpy(), seed))
