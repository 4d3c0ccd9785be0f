"""Whose vectors are these? A sample is embedded again in every way that can be tried here."""

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ragkit.embedding.catalogue.facts import Facts
from ragkit.embedding.embedder import Embedder
from ragkit.migration.inspection.whose.candidates import (
    joined_columns,
    load_callable,
    other_ways,
    own_way,
    plausible_models,
)
from ragkit.migration.inspection.whose.trials import Explanation, Trial, try_first, try_way
from ragkit.migration.inspection.whose.vector_sample import VectorSample

SECONDS = 20.0
"""After which no further rare way is begun."""
MAX_FOREIGN = 5
"""Rows that a description names."""


@dataclass(frozen=True)
class Identification:
    """The ways that explain rows, the best first. `dimension` is that of the stored vectors, 0
    without any. `columns`: whose texts were tried. `foreign`:
    keys of the sampled rows that the best one does not explain. `skipped`: models that cannot be
    called here, and why."""

    rows: int
    dimension: int
    columns: list[str]
    explanations: list[Explanation]
    foreign: list[str]
    skipped: list[str]

    @property
    def best(self) -> Explanation | None:
        return self.explanations[0] if self.explanations else None

    def describe(self) -> str:
        """One line."""
        if not self.rows:
            return "no row holds both a text and a vector"
        if self.best is None:
            return f"no model that can be called here made one of {self.rows} sampled vectors"
        foreign = ""
        if self.foreign:
            more = "" if len(self.foreign) <= MAX_FOREIGN else ", …"
            foreign = f"; foreign: {', '.join(self.foreign[:MAX_FOREIGN])}{more}"
        return f"{self.best}{foreign}"


def identify(
    sample: VectorSample,
    names: Iterable[str] = (),
    facts: Facts | None = None,
    env: Mapping[str, str] = os.environ,
) -> Identification:
    """Tries the models of `names` and of the catalogue; calls each with a few dozen short texts.

    First models of the stored dimension, as documents of one column. Only if they explain too
    little: models of other dimensions; then as questions, with other tasks, of two columns joined.
    """
    if not len(sample.keys):
        return Identification(0, 0, [], [], [], [])
    dimension, tail = sample.vectors.shape[1], sample.zero_tail
    embedders: list[Embedder] = []
    skipped: list[str] = []
    tried: list[Trial] = []
    for group in plausible_models(names, dimension, dimension - tail, facts):
        if not any(t.explanation.is_enough for t in tried):
            found = load_callable(group, facts, env)
            embedders, skipped = embedders + found.embedders, skipped + found.skipped
            for embedder in found.embedders:
                tried += try_way(own_way(embedder), sample, sample.texts)
    if not any(t.explanation.is_enough for t in tried) and sample.is_short:
        joined, start = joined_columns(sample.texts), time.monotonic()
        for way in (way for e in embedders for way in (own_way(e), *other_ways(e))):
            if time.monotonic() - start > SECONDS:
                skipped.append(f"{way.model} {way.task}: not tried after {SECONDS:g} s of others")
                continue
            templates = joined if not way.task else {**sample.texts, **joined}
            tried += try_first(way, sample, templates)
    tried = [t for t in tried if t.explanation.share]
    tried.sort(key=lambda t: (-t.explanation.share, -t.explanation.cosine))
    explained = tried[0].is_explained if tried else np.ones(len(sample.keys), bool)
    foreign = [key for key, known in zip(sample.keys, explained, strict=True) if not known]
    return Identification(
        len(sample.keys),
        dimension,
        list(sample.texts),
        [t.explanation for t in tried],
        foreign,
        skipped,
    )
