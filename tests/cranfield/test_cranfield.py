"""A judged collection, Cranfield, from one real model to another; skipped where it is missing.

1,400 abstracts, two of them empty, and 225 questions. MiniLM takes 256 tokens, and ragkit never
truncates a text, so longer abstracts are truncated here, for both models. The embedding takes
about a minute (make cranfield).
"""

import json
from dataclasses import replace

import pytest
import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR

from ragkit.evaluation.comparison import compare
from ragkit.evaluation.gates import quality_gates
from ragkit.evaluation.metrics.significance import metric_differences
from ragkit.evaluation.questions import read_questions
from ragkit.evaluation.slices import compare_slices
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.migration.verdict import GO, INCONCLUSIVE, NO_GO, Verdict
from tests.conftest import ROLE, ROOT, changed, embedder_of, make_plan
from tests.evaluation.example_evidence import make_evidence

DATA = ROOT.parent / "shared" / "data" / "cranfield"
PLAN = make_plan(
    {
        "table.name": "abstracts",
        "table.label": "title",
        "new.model": "all-minilm-l6-v2",
        "new.column": "embedding_minilm",
        "backfill.batch_size": 64,
        "evaluation.k": 10,
    }
)
pytestmark = [
    pytest.mark.skipif(not DATA.exists(), reason="the Cranfield collection is missing"),
    pytest.mark.timeout(400),
]


@pytest.fixture(scope="module")
def minilm():
    return embedder_of(PLAN.new.model)


def truncate(text, embedder):
    """The text up to the limit of tokens of the embedder's model."""
    offsets = embedder._tokenizer.encode(text).offsets
    limit = embedder.model.max_tokens_per_text
    return text if len(offsets) <= limit else text[: offsets[limit - 2][1]]


@pytest.fixture(scope="module")
def migration(server, old_embedder, minilm):
    server.create("cranfield", owner=ROLE)
    engine = server.engine(ROLE, "cranfield")
    documents = [json.loads(line) for line in (DATA / "corpus.jsonl").read_text().splitlines()]
    table = sa.Table(
        "abstracts", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("title", sa.Text), sa.Column("content", sa.Text),
        sa.Column("embedding", VECTOR(256)),
    )  # fmt: skip
    rows = [
        {
            "id": int(document["_id"]),
            "title": document["title"],
            "content": truncate(f"{document['title']} {document['text']}".strip(), minilm),
            "embedding": None,
        }
        for document in documents
    ]
    with_text = [row for row in rows if row["content"]]
    vectors = old_embedder.embed_documents([row["content"] for row in with_text])
    for row, vector in zip(with_text, vectors, strict=True):
        row["embedding"] = vector
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(sa.insert(table), rows)
    migration = Migration.open(PLAN, engine)
    expand(migration)
    list(run_backfill(migration, minilm))
    index.build(migration)
    yield migration
    engine.dispose()


@pytest.fixture(scope="module")
def questions():
    return read_questions(DATA / "queries.jsonl", DATA / "qrels.tsv")


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
