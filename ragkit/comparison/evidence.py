"""All that a comparison can find out, gathered once; what cannot be asked is left out."""

from dataclasses import asdict, dataclass, fields, is_dataclass

import numpy as np

from ragkit.comparison import shadowed
from ragkit.comparison.compare import Comparison
from ragkit.comparison.cutoff import Cutoff, recalibrate
from ragkit.comparison.index_share import Point, index_share
from ragkit.comparison.neighbours import Neighbourhoods, neighbourhoods
from ragkit.comparison.shadowed import Shadowed
from ragkit.comparison.slices import Slice, slices
from ragkit.comparison.statistics import Difference, differences
from ragkit.comparison.variants import Variant, variants
from ragkit.migration.subject import Migration


@dataclass(frozen=True)
class Evidence:
    """`asked`, `differences` and `slices` need questions and both models, `cutoff` cosine
    distance, `shadow` a log; the rest is of stored vectors alone. The same seed gives the same
    figures, times excepted."""

    seed: int
    asked: Comparison | None
    differences: list[Difference]
    slices: list[Slice]
    near: Neighbourhoods
    cutoff: Cutoff | None
    index: list[Point]
    variants: list[Variant]
    shadow: Shadowed | None

    def figures(self) -> dict:
        """As plain data: every figure with its interval."""
        shared = {}
        if asked := self.asked:
            series = {"overlap": asked.overlap, "rbo": asked.rbo, "tau": asked.tau}
            shared = {name: asdict(asked.shared(s, self.seed)) for name, s in series.items()}
        near = _plain(self.near)
        del near["worst"]  # holds texts
        shared = shared or {name: near[name] for name in ("overlap", "rbo")}
        return {
            "seed": self.seed,
            "questions": asked and {
                "asked": len(asked.judged.texts), "judged": len(asked.judged.qrels),
                "unanswerable": asked.judged.unanswerable, "gone": asked.judged.gone,
                "proxy": asked.judged.proxy, "alike": asked.alike,
            },
            "metrics": {d.metric: asdict(d) for d in self.differences},
            "slices": [asdict(each) for each in self.slices],
            "shared_by": "questions" if asked else "stored vectors",
            "overlap": shared["overlap"], "rbo": shared["rbo"], "tau": shared.get("tau"),
            "p95_ms": asked and {
                side: round(float(np.percentile(found.latency_ms, 95)), 2)
                for side, found in (("old", asked.old), ("new", asked.new))
            },
            "cka": near.pop("cka"), "neighbours": near,
            "cutoff": self.cutoff and _plain(self.cutoff),
            "index": [asdict(point) for point in self.index],
            "variants": [asdict(each) for each in self.variants],
            "shadow": self.shadow and asdict(self.shadow),
        }  # fmt: skip


def gather(migration: Migration, asked: Comparison | None) -> Evidence:
    """Raises what its parts raise: SpaceNotReady, ConfigError."""
    plan = migration.plan
    judged = asked is not None and asked.judged.qrels
    return Evidence(
        plan.seed,
        asked,
        differences(asked.old_scores, asked.new_scores, plan.seed) if judged else [],
        slices(migration, asked) if judged else [],
        neighbourhoods(migration),
        recalibrate(migration, asked),
        index_share(migration),
        variants(migration),
        _shadow(migration),
    )


def _shadow(migration: Migration) -> Shadowed | None:
    plan = migration.plan
    if not plan.shadow_log:
        return None
    return shadowed.read(plan.path(plan.shadow_log), plan.old_model, plan.new_model, plan.seed)


def _plain(item: object) -> dict:
    """A dataclass without its arrays."""
    found = {field.name: getattr(item, field.name) for field in fields(item)}
    return {
        name: _plain(value) if is_dataclass(value)
        else [asdict(each) for each in value] if isinstance(value, list)
        else value
        for name, value in found.items() if not isinstance(value, np.ndarray)
    }  # fmt: skip
