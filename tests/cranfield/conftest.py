"""The collection in a database, migrated from one real model to another."""

import json

import pytest
import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR

from ragkit.evaluation.questions import read_questions
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from tests.conftest import ROLE, ROOT, embedder_of, make_plan

DATA = ROOT.parent / "shared" / "data" / "cranfield"
PLAN = make_plan(
    {
        "table.name": "abstracts",
        "table.label": "title",
        "new.model": "all-minilm-l6-v2",
        "new.column": "embedding_minilm",
        "backfill.batch_size": 64,
        "backfill.slow_factor": 1e6,  # there is no app to protect
        "evaluation.k": 10,
    }
)


@pytest.fixture(scope="session")
def minilm():
    return embedder_of(PLAN.new.model)


def truncate(text, embedder):
    """The text up to the limit of tokens of the embedder's model."""
    offsets = embedder._tokenizer.encode(text).offsets
    limit = embedder.model.max_tokens_per_text
    return text if len(offsets) <= limit else text[: offsets[limit - 2][1]]


@pytest.fixture(scope="session")
def migration(server, old_embedder, minilm):
    server.create("cranfield", owner=ROLE)
    engine = server.engine(ROLE, "cranfield")
    yield migrate(engine, old_embedder, minilm)
    engine.dispose()


def migrate(engine, old_embedder, minilm):
    """The finished migration of the table "abstracts", which it makes."""
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
    return migration


@pytest.fixture(scope="session")
def questions():
    return read_questions(DATA / "queries.jsonl", DATA / "qrels.tsv")
