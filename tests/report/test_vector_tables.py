from dataclasses import replace

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
