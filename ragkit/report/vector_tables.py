"""Tables and sentences about stored vectors: neighbourhoods, the index, the storage."""

import pandas as pd
from humanize import naturalsize

from ragkit.evaluation.cutoff import CutoffCalibration
from ragkit.evaluation.index.loss import IndexLoss
from ragkit.evaluation.index.recall import IndexMeasurement
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
    by_side = {m.side: m.queries for m in measurements}
    kinds = [*dict.fromkeys(by_side.values())]
    asked = kinds[0] if len(kinds) == 1 else " and ".join(f"{q} ({s})" for s, q in by_side.items())
    note(
        f"Recall against exact search of the same column, with {asked} as queries: the loss of "
        "the index, whatever the model. Bold is what the app uses."
    )


def index_losses(losses: list[IndexLoss]) -> None:
    """What the index takes from the quality of each model; nothing without judgements."""
    for loss in losses:
        widened = (
            f" {loss.widened} questions were too slow to search exactly: the index at its widest "
            "setting stands for that."
            if loss.widened
            else ""
        )
        note(
            f"The index changes {loss.metric} in the {loss.side} column by "
            f"{loss.change.mean:+.3f} ({loss.change.bounds(signed=True)}), from {loss.exact:.3f} "
            f"by exact search to {loss.served:.3f} at {loss.setting}. The models are compared by "
            f"exact search.{widened}"
        )


def cutoff(calibration: CutoffCalibration | None) -> None:
    """What an app with a cut-off shows before, with the same one, and with the new one."""
    if calibration is None:
        return note(
            "No cut-off is carried: it takes questions of both models, and cosine distance."
        )
    shown = (
        ("old column", calibration.old, calibration.with_old),
        ("new column, cut-off unchanged", calibration.old, calibration.unchanged),
        ("new column, new cut-off", calibration.new.mean, calibration.with_new),
    )
    rows = [(name, limit, f"{part.empty:.1%}", part.rows) for name, limit, part in shown]
    columns = ["", "cut-off", "empty answers", "rows of a question"]
    frame = pd.DataFrame(rows, columns=columns)
    styler = frame.style.format(precision=3).format("{:.1f}", subset=["rows of a question"])
    return show_table(frame, styler)


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
