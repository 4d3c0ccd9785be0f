from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.evaluation.bridge.sample import grow_sample
from ragkit.evaluation.metrics.bootstrap import Interval
from ragkit.evaluation.questions import QuestionSet
from ragkit.evaluation.rescued import quality as module
from ragkit.evaluation.rescued.quality import (
    BRIDGE,
    FULL_TEXT,
    TOGETHER,
    QualityTrial,
)
from ragkit.evaluation.rescued.questions import choose_questions
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.retrieval.rescue.candidates.bridge import Bridge


def test_full_text_that_has_all_right_rows_can_reach_everything(rescued, rescue_plan, judged):
    found = QualityTrial(rescued, rescue_plan, judged).measure()
    assert found.ways == {FULL_TEXT: Interval(1.0, 1.0, 1.0)}
    assert (found.questions, found.k, found.depth, found.is_proxy) == (3, 10, 20, False)


def test_what_is_no_candidate_counts_as_lost(rescued, rescue_plan, judged):
    """A word of no row finds nothing."""
    strange = replace(judged, texts=judged.texts | {"q1": "xylophone"})
    found = QualityTrial(rescued, rescue_plan, strange).measure()
    assert found.best.mean == pytest.approx(2 / 3)


def test_the_bridge_finds_rows_without_a_common_word(rescued, rescue_plan, judged, new_embedder):
    """Between two cuts of one model. Full text finds nothing of these words."""
    texts = {"q1": "sweaters", "q2": "candlelight", "q3": "seafood"}
    other_words = replace(judged, texts=texts)
    trial = QualityTrial(rescued, rescue_plan, other_words)
    alone = trial.measure()
    *_, fitting = grow_sample(rescued, new_embedder, 60)
    assert fitting.bridge
    both = trial.measure(fitting.bridge, new_embedder)
    assert alone.best.mean == both.ways[FULL_TEXT].mean == 0
    assert both.ways[BRIDGE].mean > 0.3
    assert both.best == both.ways[TOGETHER]
    assert both.best.mean >= both.ways[BRIDGE].mean


class TestQuestionsOfRows:
    def test_they_find_their_rows(self, rescued, rescue_plan):
        found = QualityTrial(rescued, rescue_plan, choose_questions(rescued, None)).measure()
        assert (found.is_proxy, found.questions) == (True, 60)
        assert found.best.mean > 0.9

    def test_those_of_rows_with_a_new_vector_are_left_out(self, rescued, rescue_plan, new_embedder):
        trial = QualityTrial(rescued, rescue_plan, choose_questions(rescued, None))
        fitting = next(iter(grow_sample(rescued, new_embedder, 26)))
        assert fitting.bought == 26
        assert trial.measure().questions == 60 - 26
        list(run_backfill(rescued, new_embedder))
        assert trial.measure() is None


def test_no_question_tells_nothing(rescued, rescue_plan):
    assert QualityTrial(rescued, rescue_plan, QuestionSet({}, {})).measure() is None


def test_a_search_that_fails_finds_nothing(rescued, rescue_plan, judged, new_embedder):
    """As in the service, which goes on without it: a map into another dimension."""
    wrong = Bridge("ridge", 9, np.ones((64, 99), np.float32))
    broken = replace(rescue_plan, language="no such language")
    found = QualityTrial(rescued, broken, judged).measure(wrong, new_embedder)
    assert {way: each.mean for way, each in found.ways.items()} == {
        FULL_TEXT: 0, BRIDGE: 0, TOGETHER: 0
    }  # fmt: skip


def test_time_ends_the_questions_and_not_before_some(rescued, rescue_plan, monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0.0)
    found = QualityTrial(rescued, rescue_plan, choose_questions(rescued, None)).measure()
    assert found.questions == module.MIN_QUESTIONS


def test_an_old_column_without_its_vectors_finds_nothing_by_the_bridge(
    rescued, rescue_plan, judged, new_embedder
):
    with rescued.engine.begin() as connection:
        connection.execute(sa.update(rescued.table).values({"embedding": None}))
    bridge = Bridge("ridge", 9, np.eye(64, 256, dtype=np.float32))
    found = QualityTrial(rescued, rescue_plan, judged).measure(bridge, new_embedder)
    assert (found.ways[BRIDGE].mean, found.best.mean) == (0, 1)
