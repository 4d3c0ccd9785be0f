import numpy as np
import pytest

from ragkit.embedding.catalogue import find_model
from ragkit.embedding.providers.vertex import VertexEmbedder
from ragkit.errors import SpaceNotReady
from ragkit.evaluation.questions import QuestionSet
from ragkit.evaluation.rescued.trial import Latency, ask_service, time_map
from ragkit.migration.rescue.service import end_rescue, start_rescue
from ragkit.retrieval.rescue.candidates.bridge import Bridge
from tests.conftest import column_of, with_plan
from tests.evaluation.rescued.conftest import PLACES


def test_a_question_is_paid_for_once(rescued, judged, new_embedder):
    trial = ask_service(rescued, new_embedder, judged)
    assert [asked.question for asked in trial.asked] == list(judged.texts.values())
    assert trial.asked[0].bought == 10  # the rows with that word
    assert trial.bought[1] == 0
    assert {asked.degraded for asked in trial.asked} == {"no"}
    filled = column_of(rescued.engine, rescued, rescued.plan.new.column)
    is_right = {n: any(word in text for word in judged.texts.values())
                for n, text in enumerate(PLACES, 1)}  # fmt: skip
    assert {n for n, vector in filled.items() if vector is not None} == {
        n for n, right in is_right.items() if right
    }


def test_it_shows_labels_and_scores_what_is_judged(rescued, judged, new_embedder):
    trial = ask_service(rescued, new_embedder, judged)
    assert trial.asked[0].rows.count(" · ") == 2
    assert "Loom" in trial.asked[0].rows
    assert trial.quality.mean == pytest.approx(1.0)
    assert 0 < trial.cold.p50 <= trial.cold.p95
    assert 0 < trial.warm.p50 <= trial.warm.p95


def test_a_question_that_the_model_does_not_take_has_its_reason(rescued, judged, vertex):
    env = {"GCP_PROJECT_ID": "p", "VERTEX_ENDPOINT": vertex.address}
    paid = VertexEmbedder(find_model("text-embedding-005"), env)
    migration = with_plan(rescued, {"new.model": paid.model.name, "new.column": "embedding_005"})
    start_rescue(migration, paid)
    texts = {"q0": "fish " * 9000, **judged.texts}
    trial = ask_service(migration, paid, QuestionSet(texts, judged.qrels))
    long, *others = trial.asked
    assert "would cut it" in long.degraded
    assert (long.rows, long.bought, len(long.question)) == ("", 0, 60)
    assert {asked.degraded for asked in others} == {"no"}


@pytest.mark.parametrize("changes", [{"qrels": {}}, {"is_proxy": True}])
def test_without_judgements_there_is_no_score(rescued, judged, new_embedder, changes):
    given = {"texts": judged.texts, "qrels": judged.qrels, **changes}
    assert ask_service(rescued, new_embedder, QuestionSet(**given)).quality is None


def test_the_percentiles_are_of_the_times():
    assert Latency.of([1.0] * 95 + [3.0] * 5 + [5.0]) == Latency(1.0, 3.0)


def test_a_map_takes_some_time():
    few, many = (
        time_map(Bridge("ridge", 9, np.ones((size, size), np.float32))) for size in (64, 3072)
    )
    assert 0 < few < many < 1000


def test_without_a_rescue_it_says_what_to_do(rescued, judged, new_embedder):
    end_rescue(rescued)
    with pytest.raises(SpaceNotReady, match="start it first"):
        ask_service(rescued, new_embedder, judged)
