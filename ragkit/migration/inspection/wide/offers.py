"""What a plan can choose where vectors are wide, with what each choice finds and takes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from humanize import naturalsize

from ragkit.database.translate import translate_errors
from ragkit.database.types import MAX_HALFVEC_DIMENSION
from ragkit.deploy.project_checks import Check
from ragkit.embedding.embedder import Embedder
from ragkit.migration.inspection.embedded import embed_rows
from ragkit.migration.inspection.wide.recall import fitting_k, of_bits, of_shorter
from ragkit.migration.migration import Migration
from ragkit.migration.progress.coverage import has_text
from ragkit.migration.schema.index.choice.width import is_too_wide, shorter_names
from ragkit.migration.schema.index.trial import IndexTrial, run_index_trial

SAMPLE_ROWS = 100
FACTORS = (2, 4, 8, 16)
"""Of oversampling, which are tried on the sample."""


@dataclass(frozen=True)
class Offer:
    """`setting` is what to write into the plan; `how` says more of it. `recall` of the nearest rows
    by exact search in the whole vectors; None where the sample is too small. Bytes are those of a
    row."""

    setting: str
    how: str
    recall: float | None
    vector_bytes: float
    index_bytes: float

    def describe(self) -> str:
        recall = "" if self.recall is None else f"recall {self.recall:.3f}, "
        index = f"{naturalsize(self.index_bytes)} of index" if self.index_bytes else "no index"
        return (
            f"{self.setting}{self.how}: {recall}{naturalsize(self.vector_bytes)} a vector, {index}"
        )


@dataclass(frozen=True)
class Offers:
    """By the `k` nearest of `rows` sampled rows each."""

    rows: int
    k: int
    offers: list[Offer]

    def describe(self) -> str:
        """One line."""
        each = "; ".join(offer.describe() for offer in self.offers)
        if not self.k:
            return f"{each} (of each row; {self.rows} rows are too few to measure recall)"
        return (
            f"{each} (of each row; recall of the {self.k} nearest among {self.rows} rows, which is "
            "lower among more)"
        )


def check_width(migration: Migration, embedder: Embedder) -> Iterator[Check]:
    """One check where the new vectors are too wide for the plan's index, or where that is one of
    bits; none else. Embeds up to SAMPLE_ROWS texts. Raises ModelError or DatabaseError."""
    is_binary = migration.plan.index.type == "binary"
    if not is_binary and not is_too_wide(migration):
        return
    offers = measure_offers(migration, embedder)
    if is_binary:
        yield Check("index", offers.describe(), True)
        return
    observed = (
        f"{migration.new.space.dimension:,} dimensions are more than the "
        f"{MAX_HALFVEC_DIMENSION:,} of {migration.plan.index.type}; {offers.describe()}"
    )
    choices = " or ".join(offer.setting for offer in offers.offers)
    yield Check("index", observed, False, f"set {choices}")


def measure_offers(migration: Migration, embedder: Embedder) -> Offers:
    """Raises ModelError or DatabaseError."""
    vectors = _sample(migration, embedder)
    k = fitting_k(len(vectors), migration.plan.evaluation.k)
    bits, distance = _trial(migration, "binary"), migration.plan.table.distance
    offers = []
    for name in shorter_names(embedder.model):
        dimension = int(name.rpartition("/")[2])
        if dimension >= embedder.model.dimension:
            continue
        trial = _trial(migration, "hnsw", dimension)
        recall = of_shorter(vectors, dimension, distance, k) if k else None
        offers.append(_offer(f"new.model: {name}", "", recall, trial))
    factor, recall = _best_bits(migration, vectors, k)
    how = f" (index.oversampling {factor})" if factor else ""
    offers.append(_offer("index.type: binary", how, recall, bits))
    exact = replace(bits, index_bytes=0.0)
    offers.append(_offer("index.type: none", "", 1.0 if k else None, exact))
    return Offers(len(vectors), k, offers)


def _offer(setting: str, how: str, recall: float | None, trial: IndexTrial) -> Offer:
    return Offer(setting, how, recall, trial.column_bytes, trial.index_bytes)


def _best_bits(migration: Migration, vectors: np.ndarray, k: int) -> tuple[int, float | None]:
    """With the plan's oversampling, or the smallest that passes the gate of the index."""
    plan = migration.plan
    factor, recall = plan.index.oversampling, 0.0
    if not k:
        return factor, None
    for factor in [plan.index.oversampling] if plan.index.oversampling else FACTORS:
        recall = of_bits(vectors, plan.table.distance, k, factor)
        if recall >= plan.gates.index_recall:
            break
    return factor, recall


def _trial(migration: Migration, index_type: str, dimension: int = 0) -> IndexTrial:
    """Of that index; on vectors cut to `dimension`, if one is given."""
    plan, new = migration.plan, migration.new
    index = plan.index.model_copy(update={"type": index_type})
    space = replace(new.space, dimension=dimension or new.space.dimension)
    return run_index_trial(
        replace(
            migration, plan=plan.model_copy(update={"index": index}),
            known_new=replace(new, space=space),
        )
    )  # fmt: skip


def _sample(migration: Migration, embedder: Embedder) -> np.ndarray:
    """Vectors of different texts, of shape (rows, dimension)."""
    query = migration.sample(migration.content, limit=SAMPLE_ROWS)
    with translate_errors("sampling rows"), migration.engine.connect() as connection:
        texts = list(dict.fromkeys(connection.scalars(query.where(has_text(migration.content)))))
    vectors = list(embed_rows(migration, embedder, texts).values())
    return np.array(vectors, np.float32).reshape(len(vectors), embedder.model.dimension)
