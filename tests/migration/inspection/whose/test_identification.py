"""On a real table whose vectors were made in many ways: which way is found?"""

import numpy as np
import pytest
import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR

from ragkit.embedding.load import load_embedder
from ragkit.embedding.long_texts.embedder import for_rows
from ragkit.migration.inspection.whose.identification import identify
from ragkit.migration.inspection.whose.vector_sample import sample_old
from ragkit.migration.migration import Migration
from tests.conftest import NEW, OLD, TEXTS, make_plan, make_table, swap_vectors

MINILM = "all-minilm-l6-v2"


@pytest.fixture(autouse=True)
def no_google(monkeypatch):
    for name in ("GCP_PROJECT_ID", "INSTANCE_CONNECTION_NAME", "VERTEX_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def stored(engine):
    """A table with other vectors than those of its model: made by `make` from columns of texts."""

    def build(make, texts=TEXTS, model=OLD):
        plan = make_plan()
        table = make_table(engine, plan, list(texts))
        with engine.begin() as connection:
            rows = connection.execute(sa.select(table).order_by(table.c.id)).mappings().all()
            made = np.asarray(make([{k: v or "" for k, v in row.items()} for row in rows]))
            connection.exec_driver_sql(
                'alter table "Amenities" drop column embedding, '
                f"add column embedding vector({made.shape[1]})"
            )
            change = table.update().where(table.c.id == sa.bindparam("row"))
            vector = sa.bindparam("vector", type_=VECTOR(made.shape[1]))
            keys = (row["id"] for row in rows)
            connection.execute(
                change.values(embedding=vector),
                [{"row": k, "vector": v} for k, v in zip(keys, made, strict=True)],
            )
        changes = {"old.model": f"unknown/{made.shape[1]}" if model == OLD else model}
        return Migration.open(make_plan(changes), engine)

    return build


def documents(name, texts):
    return load_embedder(name).embed_documents(texts)


def found(migration, names=()):
    return identify(sample_old(migration), names)


def test_the_model_of_the_plan_explains_its_own_vectors(migration):
    best = found(migration).best
    assert (best.model, best.template, best.form) == (OLD, "content", "as they are")
    assert (best.share, best.cosine) == (1.0, 1.0)


def test_vectors_of_another_column_are_told_by_the_column(stored):
    made = stored(lambda rows: documents(OLD, [row["description"] for row in rows]))
    assert str(found(made).best) == "wordllama-256 of description: 100% of the rows"


def test_two_joined_columns_are_found(stored):
    join = "{name}: {description}".format_map
    made = stored(lambda rows: documents(MINILM, [join(row) for row in rows]))
    assert found(made).best.template == "name + ': ' + description"


def test_the_label_before_the_content_is_found(stored):
    made = stored(lambda rows: documents(MINILM, [f"{r['name']}\n{r['content']}" for r in rows]))
    assert found(made).best.template in (  # white space is white space to its tokenizer
        "name + '\\n' + content", "name + ' ' + content",
    )  # fmt: skip


def test_padded_vectors_are_told_by_their_model(stored):
    made = stored(
        lambda rows: np.pad(documents(OLD, [r["content"] for r in rows]), ((0, 0), (0, 40)))
    )
    assert str(found(made).best) == (
        "wordllama-256 of content, padded to 296 dimensions: 100% of the rows"
    )


def test_cut_and_normalised_vectors_are_told_by_their_model(stored):
    def cut(rows):
        vectors = documents(MINILM, [row["content"] for row in rows])[:, :200]
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    best = found(stored(cut)).best
    assert best.form == "cut to 200 dimensions, normalised to length 1"
    assert (best.model, best.share) == (MINILM, 1.0)


def test_a_plug_in_is_asked_where_it_is_named(stored):
    made = stored(lambda rows: documents(NEW, [row["content"] for row in rows]))
    assert found(made).best is None
    assert found(made, [NEW]).best.model == NEW


def test_foreign_rows_are_named(migration):
    swapped = swap_vectors(migration, 0.34)
    identification = found(migration)
    assert set(identification.foreign) == swapped
    assert identification.best.share == pytest.approx(1 - len(swapped) / len(TEXTS))
    assert "; foreign: " in identification.describe()


def test_vectors_of_nobody_are_explained_by_no_model(stored):
    made = stored(lambda rows: np.random.default_rng(1).normal(size=(len(rows), 256)))
    identification = found(made)
    assert identification.best is None
    assert identification.describe() == (
        "no model that can be called here made one of 6 sampled vectors"
    )
    assert any(line.startswith("text-embedding-005: ") for line in identification.skipped)


def test_a_table_without_vectors_says_so(migration, engine):
    with engine.begin() as connection:
        connection.exec_driver_sql('update "Amenities" set embedding = null')
    assert found(migration).describe() == "no row holds both a text and a vector"


def test_a_long_text_was_cut_where_the_model_cuts_it(stored):
    long = [f"{text} " * 60 for text in TEXTS]
    made = stored(
        lambda rows: for_rows(load_embedder(MINILM), "cut").embed_documents(
            [row["content"] for row in rows]
        ),
        texts=long,
    )
    assert (found(made).best.model, found(made).best.share) == (MINILM, 1.0)
