from dataclasses import replace

import numpy as np

from ragkit.evaluation.cutoff import CutoffCalibration, Shown
from ragkit.evaluation.index.loss import IndexLoss
from ragkit.evaluation.label_free.neighbours import ChangedRow
from ragkit.evaluation.label_free.storage import StorageVariant
from ragkit.evaluation.metrics.bootstrap import Interval
from ragkit.report import vector_tables
from tests.evaluation.example_evidence import NEIGHBOURHOODS


def test_the_neighbourhoods_have_their_intervals_and_texts(shown):
    changed = ChangedRow("Tea Room", "Tea and <cake>.", 0.1, "A, B", "C, D")
    neighbourhoods = replace(NEIGHBOURHOODS, most_changed=[changed])
    html, text = shown(vector_tables.neighbours, neighbourhoods)
    assert "50 rows of different texts (2 more have the same text as one of them)" in text
    assert "linear CKA 0.70 (0.60 to 0.80)" in text
    assert "different dimensions" in text
    assert "Tea and &lt;cake&gt;." in html


def test_the_index_has_a_row_for_each_setting(shown, measurements):
    html, _ = shown(vector_tables.index, measurements)
    assert html.count("<tr") == 5
    assert "0.900 to 1.000" in html
    assert html.count("font-weight: bold") == 1  # one style for all cells of the app's settings


def test_the_storage_variants_have_their_sizes(shown):
    variant = StorageVariant(
        type="halfvec(8)",
        neighbours=Interval(0.9, 0.8, 1.0),
        rows=50,
        bytes_per_vector=24,
        index_bytes=None,
    )
    html, text = shown(vector_tables.storage, [variant])
    assert "HNSW does not take it" in html
    assert "Measured on 50 rows" in text


def test_the_queries_are_named(measurements, shown):
    _, text = shown(vector_tables.index, measurements)
    assert "with rows (old) and questions (new) as queries" in text
    alike = [replace(m, queries="questions") for m in measurements]
    _, text = shown(vector_tables.index, alike)
    assert "with questions as queries" in text


def test_the_loss_of_the_index_is_a_line_of_its_own(shown):
    loss = IndexLoss(
        "new", "hnsw.ef_search = 40", "nDCG@10", 0.7, 0.693, Interval(-0.007, -0.01, -0.004), 3
    )
    _, text = shown(vector_tables.index_losses, [loss])
    assert "changes nDCG@10 in the new column by -0.007 (-0.010 to -0.004)" in text
    assert "from 0.700 by exact search to 0.693 at hnsw.ef_search = 40" in text
    assert "3 questions were too slow to search exactly" in text
    assert shown(vector_tables.index_losses, []) == ("", "")


def test_the_cutoff_shows_what_users_see(shown):
    nearest = np.zeros(2)
    calibration = CutoffCalibration(
        0.5, Interval(0.427, 0.4, 0.45), Shown(0.217, 2.1), Shown(0.9, 0.4), Shown(0.217, 2.2),
        nearest, nearest,
    )  # fmt: skip
    html, _ = shown(vector_tables.cutoff, calibration)
    for figure in ("0.500", "0.427", "21.7%", "90.0%", "2.1", "0.4", "2.2"):
        assert f">{figure}<" in html
    _, text = shown(vector_tables.cutoff, None)
    assert "No cut-off is carried" in text
