"""The rescued service on the judged collection, before one row is filled by a backfill."""

import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.embedding.embedder import Embedder
from ragkit.evaluation.bridge.sample import grow_sample
from ragkit.evaluation.metrics.trec import score_questions
from ragkit.evaluation.runs import retrieve
from ragkit.migration.migration import Migration
from ragkit.migration.rescue.service import start_rescue
from ragkit.retrieval.rescue.plan import read_plan
from ragkit.retrieval.rescue.search import RescuedSearch
from tests.conftest import changed
from tests.cranfield.conftest import DATA

PAIRS, MIN_SHARE = 200, 0.97
"""Texts that are bought beforehand, and the share of the finished migration's nDCG@10."""
pytestmark = [
    pytest.mark.skipif(not DATA.exists(), reason="the Cranfield collection is missing"),
    pytest.mark.timeout(900),
]


class Known:
    """The real model; texts that were embedded for the finished migration are not again."""

    def __init__(self, embedder: Embedder, migration: Migration):
        self.model, self.embed_query = embedder.model, embedder.embed_query
        with migration.engine.connect() as connection:
            rows = connection.execute(migration.select(migration.content, migration.new_vector))
            self._vectors = {text: vector for text, vector in rows if vector is not None}

    def embed_documents(self, texts):
        return np.array([np.asarray(self._vectors[text]) for text in texts], np.float32)


@pytest.fixture(scope="module")
def rescued(migration, minilm):
    return rescue_copy(migration, minilm)


def rescue_copy(migration, minilm):
    """A copy of the table, as if it were a large one: its new vectors are not scanned. With the
    model, and the bridge of PAIRS pairs that serves."""
    plan = changed(migration.plan, {"table.name": "rescued abstracts", "rescue.seconds": 30.0})
    with migration.engine.begin() as connection:
        connection.execute(sa.text(
            'create table "rescued abstracts" as select id, title, content, embedding '
            "from abstracts order by id"
        ))  # fmt: skip
        connection.execute(sa.text('alter table "rescued abstracts" add primary key (id)'))
    copied, model = Migration.open(plan, migration.engine), Known(minilm, migration)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ragkit.migration.rescue.service.MIN_ROWS", 0)
        start_rescue(copied, model)
        *_, fitting = grow_sample(copied, model, PAIRS)
        assert start_rescue(copied, model, fitting.bridge).bridge != "none"
    return copied, model, fitting


def test_it_is_as_good_as_the_finished_migration(migration, rescued, questions, minilm):
    copied, model, fitting = rescued
    assert fitting.bought == PAIRS
    service = RescuedSearch(copied.engine, model, ["id"])
    with copied.engine.connect() as connection:
        plan = read_plan(connection, copied.new)
    assert not plan.is_small
    answers = {}
    for name, text in questions.texts.items():
        answers[name] = service.search(copied.new, plan, copied.old, text, 10)
        service.filling.wait()
    assert not any(answer.degraded for answer in answers.values())
    assert max(answer.bought for answer in answers.values()) <= plan.rerank
    rankings = {name: [str(row["id"]) for row in a.rows] for name, a in answers.items()}
    ndcg = float(score_questions(questions.qrels, rankings, 10)["nDCG@10"].mean())
    native = native_ndcg(migration, questions, minilm)
    assert ndcg >= MIN_SHARE * native


def native_ndcg(migration, questions, minilm):
    rankings = retrieve(migration, migration.new, minilm, questions).rankings
    return float(score_questions(questions.qrels, rankings, 10)["nDCG@10"].mean())
