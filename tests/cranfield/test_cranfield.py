"""A judged collection, Cranfield, from one real model to another; skipped where it is missing.

1,400 abstracts, two of them empty, and 225 questions. MiniLM takes 256 tokens, so longer abstracts
are truncated here, for both models, except where long texts are what is tested. The embedding takes
some minutes (make cranfield).
"""

import json
from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR

from ragkit.errors import PartialRefusal
from ragkit.evaluation.comparison import compare
from ragkit.evaluation.gates import quality_gates
from ragkit.evaluation.metrics.significance import metric_differences
from ragkit.evaluation.metrics.trec import metric_names, score_questions
from ragkit.evaluation.runs import retrieve
from ragkit.evaluation.slices import compare_slices
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.inspection.long_texts import pending_lengths
from ragkit.migration.migration import Migration
from ragkit.migration.progress.coverage import count_rows
from ragkit.migration.schema.expansion import expand
from ragkit.migration.verdict import GO, INCONCLUSIVE, NO_GO, Verdict
from tests.conftest import ROLE, changed
from tests.cranfield.conftest import DATA, PLAN
from tests.evaluation.example_evidence import make_evidence

TOO_LONG = 350
"""Abstracts of more than 256 tokens."""
NDCG = {"refuse": 0.332, "cut": 0.399, "pieces": 0.397}
"""At 10, by what becomes of them: the figures of docs/own-database.md."""
pytestmark = [
    pytest.mark.skipif(not DATA.exists(), reason="the Cranfield collection is missing"),
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def comparison(migration, questions, old_embedder, minilm):
    return compare(migration, questions, old_embedder, minilm)


def decide(migration, comparison, changes=None):
    """The verdict of the quality gates alone."""
    limits = changed(migration.plan, changes or {}).gates
    slices, _ = compare_slices(migration, comparison)
    evidence = make_evidence(comparison, slices=slices)
    return Verdict.of(quality_gates(limits, evidence), {})


def test_minilm_is_better_and_a_go(migration, comparison):
    ndcg, *_ = metric_differences(comparison.old_scores, comparison.new_scores, seed=1)
    assert (ndcg.old, ndcg.new) == (pytest.approx(0.32, abs=0.01), pytest.approx(0.40, abs=0.01))
    assert ndcg.p < 0.01
    assert decide(migration, comparison).verdict == GO
    assert decide(migration, comparison, {"gates.claim": "better"}).verdict == GO


def test_the_reversed_migration_is_a_no_go(migration, questions, old_embedder, minilm):
    reverse = migration.reversed()
    comparison = compare(reverse, questions, minilm, old_embedder)
    assert decide(reverse, comparison).verdict == NO_GO


def test_a_model_is_not_different_from_itself_and_not_better(migration, questions, old_embedder):
    same = replace(migration, known_new=migration.old)
    comparison = compare(same, questions, old_embedder, old_embedder)
    for difference in metric_differences(comparison.old_scores, comparison.new_scores, seed=1):
        assert (difference.change.low, difference.change.high, difference.p) == (0, 0, 1)
    assert comparison.overlap.eq(1).all()
    assert decide(same, comparison, {"gates.claim": "better"}).verdict == NO_GO


class Remembering:
    """The real model, which embeds each text once: these migrations share most of them."""

    def __init__(self, embedder):
        self.model, self.special_tokens = embedder.model, embedder.special_tokens
        self.token_spans, self.embed_query = embedder.token_spans, embedder.embed_query
        self._embedder, self._known = embedder, {}

    def embed_documents(self, texts):
        new = [text for text in texts if text not in self._known]
        try:
            vectors, refused = self._embedder.embed_documents(new), {}
        except PartialRefusal as error:
            vectors, refused = error.vectors, error.refused
        self._known |= dict(zip(new, vectors, strict=True))
        if refused:
            again = {texts.index(new[place]): reason for place, reason in refused.items()}
            for place in refused:
                del self._known[new[place]]
            raise PartialRefusal(again, np.array([self._known.get(t, vectors[0]) for t in texts]))
        return np.array([self._known[text] for text in texts])


@pytest.fixture(scope="module")
def whole(server, minilm):
    """Migrations of the abstracts as they are, a quarter of which MiniLM does not take whole, by
    what becomes of long texts."""
    server.create("cranfield_whole", owner=ROLE)
    engine = server.engine(ROLE, "cranfield_whole")
    documents = [json.loads(line) for line in (DATA / "corpus.jsonl").read_text().splitlines()]
    rows = [
        {"id": int(d["_id"]), "title": d["title"], "content": f"{d['title']} {d['text']}".strip()}
        for d in documents
    ]
    migrations, remembering = {}, Remembering(minilm)
    for way in ("refuse", "cut", "pieces"):
        plan = changed(PLAN, {"table.name": f"abstracts {way}", "new.long_texts": way})
        table = sa.Table(
            plan.table.name, sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("title", sa.Text), sa.Column("content", sa.Text),
            sa.Column("embedding", VECTOR(256)),
        )  # fmt: skip
        with engine.begin() as connection:
            table.create(connection)
            connection.execute(sa.insert(table), rows)
        migrations[way] = Migration.open(plan, engine)
        assert pending_lengths(migrations[way], minilm).too_long == TOO_LONG
        expand(migrations[way])
        list(run_backfill(migrations[way], remembering))
    yield migrations
    engine.dispose()


def test_long_texts_are_found_when_they_are_cut_or_embedded_in_pieces(whole, questions, minilm):
    dead_letters, ndcg = {}, {}
    for way, migration in whole.items():
        with migration.engine.connect() as connection:
            dead_letters[way] = count_rows(connection, migration).dead_letters
        rankings = retrieve(migration, migration.new, minilm, questions).rankings
        scores = score_questions(questions.qrels, rankings, 10)
        ndcg[way] = float(scores[metric_names(10)[0]].mean())
    assert dead_letters == {"refuse": TOO_LONG, "cut": 0, "pieces": 0}
    assert ndcg == {way: pytest.approx(value, abs=0.005) for way, value in NDCG.items()}


def test_eight_questions_are_inconclusive(migration, questions, old_embedder, minilm):
    names = list(questions.qrels)[:8]
    few = replace(
        questions,
        texts={name: questions.texts[name] for name in names},
        qrels={name: questions.qrels[name] for name in names},
    )
    verdict = decide(migration, compare(migration, few, old_embedder, minilm))
    assert verdict.verdict == INCONCLUSIVE
    assert "of 8 questions; to decide takes about" in verdict.gates[0].observed
