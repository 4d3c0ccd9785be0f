"""What is told of vectors of 4,096 dimensions before anything is paid for."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.embedding.catalogue import Model
from ragkit.migration.inspection.rules import findings
from ragkit.migration.inspection.wide.offers import check_width, measure_offers
from ragkit.migration.inspection.wide.recall import of_shorter
from ragkit.migration.migration import Migration
from ragkit.migration.schema.index import trial
from tests.conftest import TEXTS, changed, embedder_of, make_plan, make_table, with_plan
from tests.stand_ins.wide import DIMENSION, Wide

WIDE = "tests.stand_ins.wide:Wide"
MANY = [f"{text} Number {n}, gate {n * 7 % 40}." for n in range(12) for text in TEXTS]


@dataclass(frozen=True)
class Matryoshka:
    """The plug-in as a model that can be asked for less, and for more than an index takes."""

    model: Model

    def embed_documents(self, texts):
        return np.array(Wide().embed_documents(list(texts)), np.float32)

    def embed_query(self, text):
        return self.embed_documents([text])[0]


class Shortened(Matryoshka):
    def embed_documents(self, texts):
        return super().embed_documents(texts)[:, : self.model.dimension]


@pytest.fixture
def shorter():
    model = embedder_of(WIDE).model
    return Matryoshka(replace(model, name="matryoshka", shorter=(64, 1024, 4050)))


@pytest.fixture(autouse=True)
def small_trial(monkeypatch):
    monkeypatch.setattr(trial, "TRIAL_ROWS", 200)


def wide(engine, texts, changes=None):
    plan = make_plan({"new.model": WIDE, "evaluation.k": 10, **(changes or {})})
    make_table(engine, plan, texts)
    return Migration.open(plan, engine)


def test_each_choice_is_offered_with_what_it_finds_and_takes(engine, shorter):
    migration = wide(engine, MANY)
    [check] = check_width(migration, shorter)
    assert check.passed is False
    assert check.fix == (
        "set new.model: matryoshka/1024 or new.model: matryoshka/64 or index.type: binary or "
        "index.type: none"
    )
    assert "4,096 dimensions are more than the 4,000 of hnsw" in check.observed
    assert f"of the 3 nearest among {len(MANY)} rows, which is lower among more" in check.observed
    assert "4050" not in check.observed  # it would be as wide
    [finding] = findings([check])
    assert (finding.rule, finding.severity) == ("RK012", "problem")


def test_figures_are_those_of_the_sample_and_of_the_server(engine, shorter):
    migration = wide(engine, MANY)
    measured = measure_offers(migration, shorter)
    longer, short, binary, none = measured.offers
    vectors = shorter.embed_documents(MANY)
    assert short.recall == pytest.approx(of_shorter(vectors, 64, "cosine", 3), abs=0.02)
    assert short.recall < longer.recall < none.recall == 1
    assert binary.recall >= migration.plan.gates.index_recall
    assert "index.oversampling" in binary.describe()
    assert 2 * DIMENSION < none.vector_bytes == binary.vector_bytes
    assert short.vector_bytes < longer.vector_bytes < none.vector_bytes
    assert none.index_bytes == 0
    assert DIMENSION / 8 < binary.index_bytes < longer.index_bytes


def test_the_plan_s_own_oversampling_is_measured(engine):
    migration = wide(engine, MANY, {"index.type": "binary", "index.oversampling": 1})
    [check] = check_width(migration, embedder_of(WIDE))
    assert check.passed
    assert "index.type: binary (index.oversampling 1): recall" in check.observed
    one, many = (
        measure_offers(with_plan(migration, {"index.oversampling": factor}), embedder_of(WIDE))
        for factor in (1, 20)
    )
    assert one.offers[0].recall < many.offers[0].recall


def test_a_longer_output_than_the_plan_s_is_no_offer(engine, shorter):
    """The sample's vectors have no such dimensions to be measured by."""
    cut = replace(shorter.model, name="matryoshka/1024", dimension=1024, whole=DIMENSION)
    migration = wide(engine, MANY, {"index.type": "binary"})
    measured = measure_offers(migration, Shortened(cut))
    assert [offer.setting for offer in measured.offers] == [
        "new.model: matryoshka/64", "index.type: binary", "index.type: none",
    ]  # fmt: skip


def test_too_few_rows_have_sizes_only(engine):
    migration = wide(engine, TEXTS)
    [check] = check_width(migration, embedder_of(WIDE))
    assert "6 rows are too few to measure recall" in check.observed
    assert "recall 0" not in check.observed


def test_a_table_without_a_text_is_told_too(engine):
    migration = wide(engine, ["", " "])
    [check] = check_width(migration, embedder_of(WIDE))
    assert check.passed is False
    assert "0 rows are too few to measure recall" in check.observed


def test_nothing_is_embedded_where_the_index_fits(migration, new_embedder):
    assert list(check_width(migration, new_embedder)) == []
    none = with_plan(migration, {"new.model": WIDE, "index.type": "none"})
    assert list(check_width(none, new_embedder)) == []


def test_a_distance_of_the_plan_is_that_of_the_sample(engine, shorter):
    migration = wide(engine, MANY)
    l2 = replace(migration, plan=changed(migration.plan, {"table.distance": "l2"}))
    expected = of_shorter(shorter.embed_documents(MANY), 64, "l2", 3)
    assert measure_offers(l2, shorter).offers[1].recall == pytest.approx(expected, abs=0.02)


def test_measuring_leaves_nothing_behind(engine, shorter):
    migration = wide(engine, MANY)

    def relations():
        with engine.connect() as connection:
            return connection.scalar(sa.text("select count(*) from pg_class"))

    before = relations()
    measure_offers(migration, shorter)
    assert relations() == before
