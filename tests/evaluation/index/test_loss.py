import pytest

from ragkit.evaluation.index.loss import index_losses
from tests.evaluation.example_evidence import make_questions, make_run

QUESTIONS = make_questions(4)
FOUND = {f"q{n}": [str(n), "other"] for n in range(4)}
LATER = {f"q{n}": ["other", str(n)] for n in range(4)}


def test_a_column_without_an_index_loses_nothing_and_has_no_line():
    run = make_run("model", FOUND)
    assert index_losses(QUESTIONS.qrels, run, run, k=10, seed=1) == []


def test_the_loss_is_that_of_the_app_s_lists_against_exact_search():
    plain = make_run("old", LATER)
    indexed = make_run("new", FOUND, served=FOUND | {"q0": LATER["q0"], "q1": ["other"]})
    (loss,) = index_losses(QUESTIONS.qrels, plain, indexed, k=10, seed=1)
    assert (loss.side, loss.setting, loss.metric) == ("new", "hnsw.ef_search = 40", "nDCG@10")
    assert loss.exact == 1
    assert loss.served == pytest.approx((1 + 1 + 0.6309 + 0) / 4, abs=1e-3)
    assert loss.change.mean == pytest.approx(loss.served - loss.exact)
    assert loss.change.low < loss.change.mean < loss.change.high <= 0
