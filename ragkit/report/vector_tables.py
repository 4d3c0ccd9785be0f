"""Tables and sentences about stored vectors: neighbourhoods, the index, the storage."""

import pandas as pd
from humanize import naturalsize

from ragkit.evaluation.label_free.index_recall import IndexMeasurement
from ragkit.evaluation.label_free.neighbours import Neighbourhoods
from ragkit.evaluation.label_free.storage import StorageVariant
from ragkit.report.show import note, show_table, table


def neighbours(neighbourhoods: Neighbourhoods) -> None:
    """How different the spaces are, and the rows whose nearest rows changed most."""
    overlap, rbo = neighbourhoods.overlap, neighbourhoods.rbo
    spearman, cka = neighbourhoods.spearman, neighbourhoods.cka
    cosine = (
        "have different dimensions"
        if neighbourhoods.cosine is None
        else f"have a mean cosine of {neighbourhoods.cosine:.3f}"
    )
    duplicates = (
        f" ({neighbourhoods.duplicates} more have the same text as one of them)"
        if neighbourhoods.duplicates
        else ""
    )
    note(
        f"Over {neighbourhoods.rows:,} rows of different texts{duplicates}: a row keeps "
        f"{overlap.mean:.0%} ({overlap.bounds(2)}) of its {neighbourhoods.k} nearest rows, "
        f"rank-biased overlap {rbo.mean:.2f} ({rbo.bounds(2)}); Spearman's correlation of the "
        f"distances {spearman.mean:.2f} ({spearman.bounds(2)}); linear CKA {cka.mean:.2f} "
        f"({cka.bounds(2)}); the old and the new vector of a row {cosine}. These figures say how "
        "different the spaces are, not which is better."
    )
    table(neighbourhoods.most_changed)


def index(measurements: list[IndexMeasurement]) -> None:
    """Recall and latency of both columns by setting; the app's setting in bold."""
    rows = [
        (m.side, m.column, m.setting, m.recall.mean, m.recall.bounds(), m.p50_ms, m.p95_ms)
        for m in measurements
    ]
    columns = ["", "column", "search", "recall", "90 % interval", "median ms", "p95 ms"]
    frame = pd.DataFrame(rows, columns=columns)
    styler = frame.style.format(precision=3, escape="html")
    styler = styler.format("{:.2f}", subset=["median ms", "p95 ms"])
    weights = ["font-weight:bold" if m.default else "" for m in measurements]
    show_table(frame, styler.apply(lambda _: weights, axis=0))
    note(
        "Recall against exact search of the same column, with stored vectors as queries: the loss "
        "of the index, whatever the model. Bold is what the app uses."
    )


def storage(variants: list[StorageVariant]) -> None:
    """What smaller vectors cost in neighbours, and how much space they take."""
    if not variants:
        return note("Smaller types of vectors need pgvector 0.7 or newer: nothing was measured.")
    rows = [
        (v.type, v.neighbours.mean, v.neighbours.bounds(), naturalsize(v.bytes_per_vector),
         "HNSW does not take it" if v.index_bytes is None else naturalsize(v.index_bytes))
        for v in variants
    ]  # fmt: skip
    columns = ["stored as", "neighbours kept", "90 % interval", "a vector", "HNSW index"]
    frame = pd.DataFrame(rows, columns=columns)
    show_table(frame, frame.style.format(precision=3))
    return note(
        f"Measured on {variants[0].rows:,} rows in temporary tables. A variant with fewer "
        "dimensions keeps the first ones: right for a model that was trained for it (Matryoshka), "
        "a loss for others."
    )
