"""The sample against a real table: what it buys, where that lands, and when it ends."""

import csv
from collections import Counter

import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.embedding.catalogue import find_model
from ragkit.embedding.providers.vertex import VertexEmbedder
from ragkit.errors import ModelUnavailable, PhaseError, SpaceMismatch
from ragkit.evaluation.bridge import sample as module
from ragkit.evaluation.bridge.sample import grow_sample
from ragkit.migration.backfill.model_calls.costs import read_costs
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.progress import dead_letters
from ragkit.migration.schema.expansion import expand
from ragkit.sandbox.sample import sample_rows
from tests.conftest import changed, column_of, embedder_of, make_table, swap_vectors
from tests.migration.backfill.vectors import check_no_orphans, check_vectors
from tests.notebooks.test_jss import FILES, NEW, OLD, REAL
from tests.stand_ins.faulty import faulty_embedder
from tests.stand_ins.recording import RecordingEmbedder

AIRPORT = list(dict.fromkeys(row["content"] for row in sample_rows()))
needs_real = pytest.mark.skipif(not REAL, reason="the real vectors of ../shared/data are not here")
SETTINGS = {"evaluation.k": 10, "backfill.batch_size": 20}


def opened(engine, plan, texts, changes=None):
    plan = changed(plan, SETTINGS | (changes or {}))
    make_table(engine, plan, texts)
    migration = Migration.open(plan, engine)
    expand(migration)
    return migration


@pytest.fixture
def airport(engine, plan):
    """120 rows of the sandbox, with no new vector."""
    return opened(engine, plan, AIRPORT[:120])


def set_old(migration, vectors):
    """The old vectors of rows 1, 2, …"""
    change = sa.update(migration.table).where(migration.key == sa.bindparam("row"))
    change = change.values({migration.plan.old.column: sa.bindparam("vector")})
    with migration.engine.begin() as connection:
        connection.execute(change, [{"row": n, "vector": v} for n, v in enumerate(vectors, 1)])


def relatives(embedder, texts):
    """Vectors of a model of 256 dimensions that sees what `embedder` sees, nearly."""
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(256, 64)))[0].T
    return embedder.embed_documents(texts) @ turn + rng.normal(scale=0.01, size=(len(texts), 256))


def filled_keys(migration):
    new = column_of(migration.engine, migration, migration.plan.new.column)
    return {key for key, vector in new.items() if vector is not None}


def test_it_grows_by_doubling_and_nothing_is_paid_twice(airport, new_embedder):
    recorder = RecordingEmbedder(new_embedder)
    fittings = list(grow_sample(airport, recorder))
    assert [f.bought for f in fittings] == [26, 50, 100, 120]
    assert [f.result.pairs + f.result.foreign for f in fittings] == [26, 50, 100, 120]
    assert [f.ended for f in fittings[:-1]] == [""] * 3
    assert "no further row" in fittings[-1].ended
    check_vectors(airport, new_embedder)
    list(run_backfill(airport, recorder))
    assert Counter(recorder.texts) == Counter(AIRPORT[:120])


def test_each_step_tells_what_the_bridge_is_worth(airport, new_embedder):
    set_old(airport, relatives(new_embedder, AIRPORT[:120]))
    for fitting in grow_sample(airport, new_embedder):
        result = fitting.result
        assert (fitting.bridge is None) == (result.refused is not None)
        assert 0 < result.chance < result.overlap.mean < 1
        if fitting.bridge:
            assert fitting.bridge.pairs == result.pairs
            assert fitting.bridge.matrix.shape == (64, 256)
    assert fitting.bridge


def test_rows_that_have_both_vectors_come_first_and_cost_nothing(airport, new_embedder):
    list(run_backfill(airport, new_embedder))
    with airport.engine.begin() as connection:
        change = sa.update(airport.table).where(airport.key > 60)
        connection.execute(change.values({airport.plan.new.column: None}))
    recorder = RecordingEmbedder(new_embedder)
    fittings = list(grow_sample(airport, recorder, limit=80))
    assert [f.bought for f in fittings] == [0, 0, 0, 20]
    assert len(recorder.texts) == 20
    assert not {*recorder.texts} & {*AIRPORT[:60]}
    assert "the limit of 80 pairs" in fittings[-1].ended


def test_a_second_sample_buys_nothing(airport, new_embedder):
    list(grow_sample(airport, new_embedder, limit=50))
    recorder = RecordingEmbedder(new_embedder)
    assert [f.bought for f in grow_sample(airport, recorder, limit=50)] == [0, 0]
    assert recorder.texts == []


def test_the_same_text_is_paid_once_and_lands_in_each_of_its_rows(engine, plan, new_embedder):
    migration = opened(engine, plan, AIRPORT[:40] * 3)
    recorder = RecordingEmbedder(new_embedder)
    fittings = list(grow_sample(migration, recorder))
    assert [f.bought for f in fittings] == [26, 40]
    assert Counter(recorder.texts) == Counter(AIRPORT[:40])
    assert len(filled_keys(migration)) == 120


def test_it_ends_when_the_curve_is_flat(engine, plan, new_embedder, monkeypatch):
    monkeypatch.setattr(module, "FLAT_FROM", 50)
    migration = opened(engine, plan, AIRPORT[:120])
    *_, last = grow_sample(migration, new_embedder, min_gain=1.0)
    assert last.bought == 50
    assert "against 26 pairs: it gains less than 1" in last.ended
    assert len(filled_keys(migration)) == 50


def test_random_old_vectors_end_refused_with_the_figure(airport, new_embedder):
    set_old(airport, np.random.default_rng(0).normal(size=(120, 256)))
    *_, last = grow_sample(airport, new_embedder)
    assert last.bridge is None
    assert f"overlap@10 is {last.result.overlap}" in last.result.refused


def test_texts_that_the_model_refuses_are_left_out_and_counted(airport):
    wanted = AIRPORT[0].split(" is a ")[0]
    refused = [text for text in AIRPORT[:120] if wanted in text]
    *_, last = grow_sample(airport, faulty_embedder(refused_part=wanted))
    assert last.refused == len(refused) >= 1
    assert last.bought == 120 - len(refused)
    assert len(dead_letters.list_all(airport)) == len(refused)
    embedder = faulty_embedder(refused_part=wanted)
    *_, again = grow_sample(airport, embedder)
    assert (again.bought, embedder._embeddings.embedded) == (0, [])


def test_a_row_whose_text_changes_at_the_model_is_no_pair(airport, new_embedder):
    """Its vector lands nowhere, and another row takes its place."""
    edited = []

    def edit(texts):
        if not edited:
            edited.append(AIRPORT.index(texts[0]) + 1)
            row = sa.update(airport.table).where(airport.key == edited[0])
            with airport.engine.begin() as connection:
                connection.execute(row.values(content="Another text."))

    fitting = next(grow_sample(airport, RecordingEmbedder(new_embedder, edit)))
    assert fitting.bought == 26
    assert edited[0] not in filled_keys(airport)
    assert len(filled_keys(airport)) == 26


def test_swapped_rows_are_counted_and_left_out(engine, plan, new_embedder):
    migration = opened(engine, plan, AIRPORT)
    set_old(migration, relatives(new_embedder, AIRPORT))
    swapped = swap_vectors(migration, 0.1)
    *_, last = grow_sample(migration, new_embedder, min_gain=-1)
    assert last.bridge.pairs == len(AIRPORT) - last.result.foreign
    assert 0.8 * len(swapped) <= last.result.foreign <= len(swapped) + 2


def test_the_end_of_the_budget_is_no_error(engine, plan, vertex):
    model = find_model("text-embedding-005")
    embedder = VertexEmbedder(model, {"GCP_PROJECT_ID": "p", "VERTEX_ENDPOINT": vertex.address})
    texts = [f"Place {n} is a shop. Wool." for n in range(120)]
    changes = {"new.model": model.name, "backfill.budget_usd": 60e-6}  # 600 tokens
    migration = opened(engine, plan, texts, changes)
    fittings = list(grow_sample(migration, embedder))
    last, (cost,) = fittings[-1], read_costs(migration)
    assert "the budget of $6e-05 is used up" in last.ended
    assert 0 < cost.usd <= 60e-6
    assert last.bought == len(filled_keys(migration)) > 0
    assert last.bought < 120
    again = list(grow_sample(migration, embedder))
    assert again[-1].bought == 0
    assert read_costs(migration) == [cost]


def test_a_model_that_nobody_can_call_is_an_error_and_what_was_bought_stays(airport):
    steps = grow_sample(airport, faulty_embedder([None, None, 404]))
    assert next(steps).bought == 26
    with pytest.raises(ModelUnavailable, match="404"):
        next(steps)
    assert len(filled_keys(airport)) == 26


@needs_real
def test_the_real_rows_buy_a_bridge(engine, plan, vertex, monkeypatch):
    """As the mission's table: gecko's vectors, whose model is gone, and text-embedding-005."""
    for model, file in FILES.items():
        vertex.record(model, file)
    monkeypatch.setenv("VERTEX_ENDPOINT", vertex.address)
    monkeypatch.setenv("GCP_PROJECT_ID", "p")
    with FILES[OLD].open(newline="", encoding="utf-8") as file:
        texts = [row["content"] for row in csv.DictReader(file)]
    models = {"old.model": OLD, "new.model": NEW, "backfill.batch_size": 0}
    migration = opened(engine, plan, texts, models)
    vertex.retired.add(OLD)
    *_, last = grow_sample(migration, embedder_of(NEW))
    assert (last.result.pairs, last.bought) == (120, 120)
    assert last.result.overlap.mean >= 0.77
    assert len(filled_keys(migration)) == len(texts) == 127
    assert last.bridge.matrix.shape == (768, 768)


def test_a_side_table_is_filled_too(engine, plan, new_embedder):
    migration = opened(engine, plan, AIRPORT[:60], {"new.placement": "side_table"})
    *_, last = grow_sample(migration, new_embedder)
    assert last.bought == 60
    check_vectors(migration, new_embedder)
    check_no_orphans(migration)


@pytest.mark.parametrize("texts", [[], [None, " ", "Only one."]])
def test_a_table_without_pairs_is_refused(engine, plan, new_embedder, texts):
    migration = opened(engine, plan, ["gone", *texts])
    with engine.begin() as connection:
        connection.execute(sa.delete(migration.table).where(migration.key == 1))
    (fitting,) = grow_sample(migration, new_embedder)
    assert "at least 21 are needed" in fitting.result.refused
    assert fitting.bridge is None
    assert fitting.ended


def test_it_needs_the_new_column(migration, new_embedder):
    with pytest.raises(PhaseError, match="backfill needs the phase"):
        next(grow_sample(migration, new_embedder))


def test_another_space_than_the_contracts_is_refused(airport, old_embedder):
    with pytest.raises(SpaceMismatch, match="bound to"):
        next(grow_sample(airport, old_embedder))
    assert filled_keys(airport) == set()
