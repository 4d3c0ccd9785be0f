from dataclasses import replace

import numpy as np

from ragkit.evaluation.cutoff import CutoffCalibration, Shown
from ragkit.evaluation.metrics.bootstrap import Interval
from ragkit.report import vector_charts
from ragkit.report.style import title_of
from tests.evaluation.example_evidence import NEIGHBOURHOODS


def test_the_title_of_the_neighbours_has_their_mean_overlap():
    title = title_of(vector_charts.neighbour_histogram(NEIGHBOURHOODS))
    assert "keeps 70% of its 10 nearest rows" in title


def test_over_few_rows_the_neighbours_are_a_sentence():
    assert vector_charts.neighbour_histogram(replace(NEIGHBOURHOODS, rows=11)) == (
        "No chart of the nearest rows that a row keeps: of 11 rows it keeps at least 100% of its "
        "10 nearest, whatever the models."
    )


def test_the_index_has_a_curve_of_recall_over_time(measurements):
    figure = vector_charts.recall_latency(measurements)
    axes = figure.axes[0]
    assert title_of(figure).startswith("At hnsw.ef_search = 40 the new index finds 95.0% of")
    assert axes.get_xscale() == "log"
    curve = next(line for line in axes.lines if len(line.get_xdata()) == 2)
    assert list(curve.get_ydata()) == [0.8, 0.95]


def test_a_curve_that_is_1_everywhere_is_a_sentence(measurements):
    full = [replace(m, recall=Interval(1.0, 1.0, 1.0)) for m in measurements]
    assert vector_charts.recall_latency(full) == (
        "The index finds what exact search finds at every setting (hnsw.ef_search 10, 40): recall "
        "is at least 1.000, and a search takes 1.0 to 2.0 ms (median)."
    )


def test_there_is_no_curve_without_an_index(measurements):
    assert vector_charts.recall_latency(measurements[:1]) is None
    assert vector_charts.recall_latency(measurements[:2]) is None


def test_both_cutoffs_are_in_the_picture():
    distances = np.linspace(0.1, 1.0, 50)
    calibration = CutoffCalibration(
        old=0.5,
        new=Interval(0.65, 0.64, 0.66),
        with_old=Shown(0.217, 3.0),
        unchanged=Shown(0.9, 0.4),
        with_new=Shown(0.217, 3.1),
        old_nearest=distances,
        new_nearest=np.append(distances, np.inf),
    )
    figure = vector_charts.cutoffs(calibration)
    title = " ".join(title_of(figure).split())
    assert "Beyond 0.5, 21.7% of the questions find nothing; in the new space 0.650 does" in title
    labels = [axes.texts[0].get_text().strip() for axes in figure.axes]
    assert labels == ["0.500", "0.650"]
