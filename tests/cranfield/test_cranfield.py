"""A real judged collection, from one real model to another: Cranfield, where it is present.

1,400 abstracts, two of them empty, 225 questions. MiniLM takes 256 tokens, and ragkit never cuts a
text: longer abstracts are cut here, for both models alike. Embedding takes about a minute
(make cranfield).
"""

import json
from dataclasses import replace

import pytest
import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR

from ragkit.comparison import gates, questions
from ragkit.comparison.compare import compare
from ragkit.comparison.slices import slices
from ragkit.comparison.statistics import differences
from ragkit.embedders import load
from ragkit.migration import backfill, index, schema
from ragkit.migration.plan import Plan
from ragkit.migration.subject import Migration
from ragkit.migration.verdict import GO, INCONCLUSIVE, NO_GO, Verdict
from ragkit.models import find
from tests.conftest import ROLE, ROOT
from tests.evidence import evidence

DATA = ROOT.parent / "shared" / "data" / "cranfield"
PLAN = Plan(
    database="env", app="manual", table="abstracts", label="title", old_model="wordllama-256",
    new_model="all-minilm-l6-v2", new_column="embedding_minilm",
)  # fmt: skip
pytestmark = [
    pytest.mark.skipif(not DATA.exists(), reason="Cranfield is not here"),
    pytest.mark.timeout(400),
]


@pytest.fixture(scope="module")
def old():
    return load(PLAN.old_model)


@pytest.fixture(scope="module")
def new():
    return load(PLAN.new_model)


def cut(text, tokenizer):
    offsets = tokenizer.encode(text).offsets
    limit = find(PLAN.new_model).max_tokens_per_text
    return text if len(offsets) <= limit else text[: offsets[limit - 2][1]]


@pytest.fixture(scope="module")
def migration(server, old, new):
    server.create("cranfield", owner=ROLE)
    engine = server.engine(ROLE, "cranfield")
    documents = [json.loads(line) for line in (DATA / "corpus.jsonl").read_text().splitlines()]
    table = sa.Table(
        "abstracts", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("title", sa.Text), sa.Column("content", sa.Text),
        sa.Column("embedding", VECTOR(256)),
    )  # fmt: skip
    rows = [
        {"id": int(d["_id"]), "title": d["title"], "embedding": None,
         "content": cut(f"{d['title']} {d['text']}".strip(), new._tokenizer)}
        for d in documents
    ]  # fmt: skip
    told = [row for row in rows if row["content"]]
    vectors = old.embed_documents([row["content"] for row in told])
    for row, vector in zip(told, vectors, strict=True):
        row["embedding"] = vector
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(sa.insert(table), rows)
    migration = Migration.open(PLAN, engine)
    schema.expand(migration)
    list(backfill.fill(migration, new))
    index.build(migration)
    yield migration
    engine.dispose()


@pytest.fixture(scope="module")
def judged():
    return questions.read(DATA / "queries.jsonl", DATA / "qrels.tsv")


@pytest.fixture(scope="module")
def forward(migration, judged, old, new):
    return compare(migration, judged, old, new)


def verdict(migration, found, **changes):
    plan = migration.plan.model_copy(update=changes)
    seen = evidence(found, slices=slices(migration, found))
    return Verdict.of(gates.quality(plan, seen), {})


def test_minilm_is_better_and_a_go(migration, forward):
    ndcg, *_ = differences(forward.old_scores, forward.new_scores, seed=1)
    assert (ndcg.old, ndcg.new) == (pytest.approx(0.32, abs=0.01), pytest.approx(0.40, abs=0.01))
    assert ndcg.p < 0.01
    assert verdict(migration, forward).verdict == GO
    assert verdict(migration, forward, gate_claim="better").verdict == GO


def test_the_other_way_round_is_a_no_go(migration, judged, old, new):
    back = migration.reversed()
    found = compare(back, judged, new, old)
    assert verdict(back, found).verdict == NO_GO


def test_a_model_against_itself_is_no_different_and_not_better(migration, judged, old):
    same = replace(migration, new=migration.old)
    found = compare(same, judged, old, old)
    for each in differences(found.old_scores, found.new_scores, seed=1):
        assert (each.change.low, each.change.high, each.p) == (0, 0, 1)
    assert found.overlap.eq(1).all()
    assert verdict(same, found, gate_claim="better").verdict == NO_GO


def test_eight_questions_are_inconclusive(migration, judged, old, new):
    names = list(judged.qrels)[:8]
    few = replace(
        judged, texts={q: judged.texts[q] for q in names}, qrels={q: judged.qrels[q] for q in names}
    )
    found = verdict(migration, compare(migration, few, old, new))
    assert found.verdict == INCONCLUSIVE
    assert "of 8 questions; to decide takes about" in found.gates[0].observed
