"""Evidence made of given runs, for tests of what is made of it."""

import numpy as np
import pandas as pd

from ragkit.comparison.compare import Comparison
from ragkit.comparison.evidence import Evidence
from ragkit.comparison.metrics import Interval
from ragkit.comparison.neighbours import Neighbourhoods
from ragkit.comparison.questions import Judged
from ragkit.comparison.sides import Side
from ragkit.comparison.statistics import differences

SURE = Interval(0.7, 0.6, 0.8)
NEAR = Neighbourhoods(10, 50, 2, SURE, SURE, SURE, SURE, None, np.full(50, 0.7), [])


def asked(judged, old, new, latency=1.0, texts=None, k=10):
    """`old` and `new` are runs; every row is 0.4 from its question before, and 0.6 after."""
    sides = []
    for model, run, far in (("old-model", old, 0.4), ("new-model", new, 0.6)):
        took = np.full(len(run), latency)
        pairs = [(q, row) for q, rows in judged.qrels.items() for row, g in rows.items() if g > 0]
        index = pd.MultiIndex.from_tuples(pairs, names=["question", "row"]) if pairs else None
        sides.append(Side(model, run, took, pd.Series(far, index, float)))
    rows = {row for side in sides for found in side.run.values() for row in found}
    texts = texts or {row: f"<i>text</i> {row}" for row in rows}
    return Comparison.of(k, judged, *sides, {row: f"Row {row}" for row in rows}, texts)


def evidence(found=None, seed=1, **more):
    judged = found is not None and found.judged.qrels
    parts = {
        "differences": differences(found.old_scores, found.new_scores, seed) if judged else [],
        "slices": [], "near": NEAR, "cutoff": None, "index": [], "variants": [], "shadow": None,
    }  # fmt: skip
    return Evidence(seed, found, **{**parts, **more})


def judged(questions, **more):
    """Each question is answered by the row of its own number."""
    names = [f"q{n}" for n in range(questions)]
    return Judged(
        {name: f"question {name}" for name in names},
        {name: {str(n): 1} for n, name in enumerate(names)}, **more,
    )  # fmt: skip
