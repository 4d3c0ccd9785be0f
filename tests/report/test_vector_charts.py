import numpy as np

from ragkit.evaluation.cutoff import CutoffCalibration, RecallCutoff
from ragkit.evaluation.metrics.bootstrap import Interval
from ragkit.report import vector_charts
from tests.evaluation.example_evidence import NEIGHBOURHOODS


def test_the_title_of_the_neighbours_has_their_mean_overlap():
    axes = vector_charts.neighbour_histogram(NEIGHBOURHOODS).axes[0]
    assert "keeps 70% of its 10 nearest rows" in axes.get_title()


def test_the_index_has_a_curve_of_recall_over_time(measurements):
    axes = vector_charts.recall_latency(measurements).axes[0]
    assert axes.get_title().startswith("At hnsw.ef_search = 40 the new index finds 95.0% of")
    assert axes.get_xscale() == "log"
    curve = next(line for line in axes.lines if len(line.get_xdata()) == 2)
    assert list(curve.get_ydata()) == [0.8, 0.95]


def test_there_is_no_curve_without_an_index(measurements):
    assert vector_charts.recall_latency(measurements[:1]) is None
    assert vector_charts.recall_latency(measurements[:2]) is None


def test_both_cutoffs_are_in_the_picture():
    distances = np.linspace(0.1, 1.0, 50)
    calibration = CutoffCalibration(
        old=0.5,
        new=Interval(0.65, 0.64, 0.66),
        selectivity=0.0021,
        old_distances=distances,
        new_distances=distances,
        by_recall=RecallCutoff(Interval(0.7, 0.6, 0.8), recall=0.9, pairs=20),
    )
    figure = vector_charts.cutoffs(calibration)
    assert "0.5 lets 0.21% of the pairs through" in figure.get_suptitle()
    labels = [text.get_text().strip() for text in figure.axes[1].texts]
    assert labels == ["0.650", "0.700: as many relevant rows (90%)"]
