"""One way tried on a sample: how many of the stored vectors does it make again?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ragkit.errors import ModelError
from ragkit.migration.inspection.fidelity import MIN_FIDELITY_COSINE
from ragkit.migration.inspection.whose.candidates import Way
from ragkit.migration.inspection.whose.vector_sample import VectorSample

TRIAL_ROWS = 3
"""On which the rarer ways are tried first."""
ENOUGH, EXACT = 0.9, 0.995
"""The share of rows, and the median cosine, from which no rarer way is looked for: a text that
repeats another one has nearly the same vector."""
UNIT_TOLERANCE = 0.01


@dataclass(frozen=True)
class Explanation:
    """`share` of the sampled rows whose vector `model` makes of `template`, a column or two joined;
    `form` says what was done to the vectors afterwards; `cosine` is the median over all rows."""

    model: str
    template: str
    task: str
    form: str
    share: float
    cosine: float

    @property
    def is_enough(self) -> bool:
        """Whether no rarer way need be looked for."""
        return self.share >= ENOUGH and self.cosine >= EXACT

    def __str__(self) -> str:
        task = f", {self.task}" if self.task else ""
        form = "" if self.form == "as they are" else f", {self.form}"
        return f"{self.model} of {self.template}{task}{form}: {self.share:.0%} of the rows"


@dataclass(frozen=True)
class Trial:
    """An explanation, and which of the sampled rows it explains: bool of shape (rows,)."""

    explanation: Explanation
    is_explained: np.ndarray


def try_first(
    way: Way, sample: VectorSample, templates: Mapping[str, list[str]]
) -> Iterator[Trial]:
    """In full only what explains one of the first rows."""
    first = sample.first(TRIAL_ROWS)
    starts = {name: texts[:TRIAL_ROWS] for name, texts in templates.items()}
    likely = {t.explanation.template for t in try_way(way, first, starts) if t.explanation.share}
    if likely:
        yield from try_way(way, sample, {name: templates[name] for name in likely})


def try_way(way: Way, sample: VectorSample, templates: Mapping[str, list[str]]) -> Iterator[Trial]:
    """All templates in one call."""
    places = [(name, n) for name in templates for n, t in enumerate(templates[name]) if t.strip()]
    try:
        made = way.embed([templates[name][n] for name, n in places])
    except ModelError:
        return
    for name in templates:
        vectors = {n: made[i] for i, (of, n) in enumerate(places) if of == name and i in made}
        if vectors:
            yield _compare(way, name, sample.vectors, vectors)


def _compare(way: Way, template: str, stored: np.ndarray, made: dict[int, np.ndarray]) -> Trial:
    dimension, cosines = stored.shape[1], np.zeros(len(stored))
    norms = [float(np.linalg.norm(vector)) for vector in made.values()]
    for position, vector in made.items():
        fitted = np.zeros(dimension, np.float32)
        fitted[: len(vector)] = vector[:dimension]
        lengths = np.linalg.norm(fitted) * np.linalg.norm(stored[position])
        cosines[position] = float(fitted @ stored[position]) / max(float(lengths), 1e-12)
    is_explained = cosines >= MIN_FIDELITY_COSINE
    form = _form(len(next(iter(made.values()))), stored, np.array(norms))
    share, cosine = float(is_explained.mean()), float(np.median(cosines))
    explanation = Explanation(way.model, template, way.task, form, share, round(cosine, 4))
    return Trial(explanation, is_explained)


def _form(made_dimension: int, stored: np.ndarray, made_norms: np.ndarray) -> str:
    forms, dimension = [], stored.shape[1]
    if made_dimension > dimension:
        forms.append(f"cut to {dimension} dimensions")
    if made_dimension < dimension:
        forms.append(f"padded to {dimension} dimensions")
    is_unit = np.abs(np.linalg.norm(stored, axis=1) - 1) < UNIT_TOLERANCE
    was_unit = np.abs(made_norms - 1) < UNIT_TOLERANCE
    if is_unit.all() and (made_dimension > dimension or not was_unit.any()):
        forms.append("normalised to length 1")
    return ", ".join(forms) or "as they are"
