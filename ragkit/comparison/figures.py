"""All figures of a comparison as plain data, for comparison.json."""

from dataclasses import asdict

from ragkit.comparison.compare import Comparison
from ragkit.comparison.cutoff import Cutoff
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
    """`metrics` are of judged questions, `overlap` and `rbo` of all, empty where there are none;
    `neighbours`, `cka` and `cutoff` are of stored vectors. The same seed gives the same figures."""
    body: dict = {"verdict": verdict.verdict, "gates": [asdict(g) for g in verdict.gates]}
    body |= {"metrics": {}, "overlap": None, "rbo": None, "seed": seed}
    if comparison:
        if comparison.judged.qrels:
            found = differences(comparison.old_scores, comparison.new_scores, seed)
            body["metrics"] = {each.metric: asdict(each) for each in found}
        body["overlap"] = asdict(comparison.shared(comparison.overlap, seed))
        body["rbo"] = asdict(comparison.shared(comparison.rbo, seed))
    body["neighbours"] = {"k": near.k, "rows": near.rows, **asdict(near.overlap)}
    moved = cutoff and {
        "old": cutoff.old, "new": asdict(cutoff.new), "selectivity": cutoff.selectivity
    }  # fmt: skip
    return body | {"cka": near.cka, "cosine": near.cosine, "cutoff": moved}
