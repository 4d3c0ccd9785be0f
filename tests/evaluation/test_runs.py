"""The sample's 300 questions, searched exactly and with a poor index."""

import time
from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.database.engine import autocommit
from ragkit.database.types import as_array
from ragkit.evaluation import runs
from ragkit.evaluation.comparison import Comparison
from ragkit.evaluation.hybrid.lists import DEPTH, by_vectors
from ragkit.evaluation.index.loss import index_losses
from ragkit.evaluation.index.recall import measure_index
from ragkit.evaluation.questions import QuestionSet, read_questions
from ragkit.evaluation.runs import retrieve
from ragkit.evaluation.samples import normalise
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.sandbox.sample import DATA, QUESTIONS, sample_rows
from tests.conftest import embedder_of, make_plan, make_table, with_plan

K = 10


@pytest.fixture(scope="module")
def judged():
    return read_questions(QUESTIONS, DATA / "qrels.tsv")


@pytest.fixture
def sample(engine):
    """Both columns hold the same vectors, the new one behind an index that misses some."""
    model = "wordllama-64"
    plan = make_plan({"new.model": model, "evaluation.k": K, "index.type": "none"})
    make_table(engine, plan, [row["content"] for row in sample_rows()])
    migration = Migration.open(plan, engine)
    expand(migration)
    list(run_backfill(migration, embedder_of(model)))
    with autocommit(engine) as connection:
        connection.exec_driver_sql(
            'create index on "Amenities" using hnsw ("new vector" vector_cosine_ops) '
            "with (m = 3, ef_construction = 8)"
        )
    return migration


@pytest.fixture
def run(sample, judged):
    return retrieve(sample, sample.new, embedder_of("wordllama-64"), judged)


def brute_force(sample, run):
    """Distances of all rows from each question, of shape (questions, rows), by NumPy."""
    query = sa.select(sample.new_vector).where(sample.new_vector.is_not(None))
    with sample.engine.connect() as connection:
        rows = normalise(as_array(connection.scalars(query).all()))
    return 1 - normalise(run.vectors.values()) @ rows.T


def test_the_lists_are_those_of_exact_search(sample, run):
    nearest = np.sort(brute_force(sample, run))[:, :K]
    assert np.array(list(run.exact.distances.values())) == pytest.approx(nearest, abs=1e-5)
    assert run.widened == 0
    assert run.served.setting == "hnsw.ef_search = 40"
    assert len(run.latency_ms) == len(run.rankings) == 300
    assert (run.latency_ms > 0).all()


def test_the_recall_of_the_index_is_that_of_questions(sample, run):
    """Within 0.002 of a check by brute force; rows find more than questions do."""
    nearest = np.sort(brute_force(sample, run))[:, :K]
    found = [
        np.mean(distances <= row[-1] + 1e-6)
        for distances, row in zip(run.served.distances.values(), nearest, strict=True)
    ]
    measured = {m.setting: m for m in measure_index(sample, None, run) if m.side == "new"}
    served = measured["hnsw.ef_search = 40"]
    assert (served.n, served.queries, served.default) == (300, "questions", True)
    assert served.recall.mean == pytest.approx(np.mean(found), abs=0.002)
    of_rows = {m.setting: m for m in measure_index(sample) if m.side == "new"}
    assert of_rows["hnsw.ef_search = 40"].queries == "rows"
    assert of_rows["hnsw.ef_search = 40"].recall.mean > served.recall.mean


def test_a_model_against_itself_loses_by_its_index_alone(sample, run, judged):
    """The same vectors in a column that is scanned and in one with an index: no change of the
    model, and the index's loss in a line of its own."""
    with autocommit(sample.engine) as connection:
        connection.exec_driver_sql('alter table "Amenities" add copy vector')
        connection.exec_driver_sql('update "Amenities" set copy = "new vector"')
    scanned = retrieve(
        sample, replace(sample.new, column="copy"), embedder_of("wordllama-64"), judged
    )
    assert scanned.served is scanned.exact
    comparison = Comparison.of(K, judged, scanned, run, labels={}, texts={})
    assert (comparison.new_scores == comparison.old_scores).all(axis=None)
    (loss,) = index_losses(judged.qrels, comparison.old, comparison.new, K, seed=1)
    assert loss.side == "new"
    assert loss.change.high < 0


def test_an_exact_search_that_is_too_slow_is_ended_and_the_index_answers(
    sample, judged, monkeypatch
):
    """By the server: a policy makes each row slow that is read without the index."""
    monkeypatch.setattr(runs, "EXACT_SECONDS", 0.5)
    slow = "case current_setting('enable_indexscan') when 'off' then pg_sleep(.01) is not null"
    with autocommit(sample.engine) as connection:
        for statement in ("enable", "force"):
            connection.exec_driver_sql(f'alter table "Amenities" {statement} row level security')
        connection.exec_driver_sql(
            f'create policy slow on "Amenities" using ({slow} else true end)'
        )
    few = QuestionSet(dict(list(judged.texts.items())[:5]), {})
    start = time.monotonic()
    run = retrieve(sample, sample.new, embedder_of("wordllama-64"), few)
    assert time.monotonic() - start < 10
    assert run.widened == 5
    assert all(len(rows) == K for rows in run.rankings.values())


def test_questions_that_take_too_long_to_search_exactly_are_counted(sample, judged, monkeypatch):
    monkeypatch.setattr(runs, "EXACT_SECONDS", 0.0)
    run = retrieve(sample, sample.new, embedder_of("wordllama-64"), judged)
    assert run.widened == 300
    assert run.exact is not run.served
    nearest = np.sort(brute_force(sample, run))[:, :K]
    found = [
        np.mean(distances <= row[-1] + 1e-6)
        for distances, row in zip(run.exact.distances.values(), nearest, strict=True)
    ]
    served = next(m for m in measure_index(sample, None, run) if m.side == "new" and m.default)
    assert served.recall.mean < np.mean(found) <= 1


@pytest.fixture
def by_bits(sample):
    """The same vectors behind an index of one bit a dimension, of which few candidates are taken:
    64 bits tell little."""
    migration = with_plan(sample, {"index.type": "binary", "index.oversampling": 1})
    index.build(migration)
    return migration


def test_an_index_of_bits_takes_nothing_from_the_model(by_bits, judged):
    """Models are compared by exact search, whatever the contract says of the app's."""
    run = retrieve(by_bits, by_bits.new, embedder_of("wordllama-64"), judged)
    nearest = np.sort(brute_force(by_bits, run))[:, :K]
    assert np.array(list(run.exact.distances.values())) == pytest.approx(nearest, abs=1e-5)
    assert run.served.setting == "oversampling = 1"
    found = [
        np.mean(distances <= row[-1] + 1e-6)
        for distances, row in zip(run.served.distances.values(), nearest, strict=True)
    ]
    measured = {m.setting: m for m in measure_index(by_bits, None, run) if m.side == "new"}
    served = measured["oversampling = 1"]
    assert (served.n, served.default) == (300, True)
    assert served.recall.mean == pytest.approx(np.mean(found), abs=0.002)
    assert 0.5 < served.recall.mean < 0.99
    assert measured["oversampling = 128"].recall.mean > 0.99
    exact_only = replace(run, served=run.exact)
    (loss,) = index_losses(judged.qrels, exact_only, run, K, seed=1)
    assert (loss.setting, loss.change.mean <= 0) == ("oversampling = 1", True)


def test_deeper_lists_are_searched_by_the_bits_or_exactly(by_bits, judged):
    few = QuestionSet(dict(list(judged.texts.items())[:20]), {})
    run = retrieve(by_bits, by_bits.new, embedder_of("wordllama-64"), few)
    exact, served = (by_vectors(by_bits, by_bits.new, run, is_exact) for is_exact in (True, False))
    keys = 'select id::text from "Amenities" where "new vector" is not null'
    with by_bits.engine.connect() as connection:
        places = {key: place for place, key in enumerate(connection.scalars(sa.text(keys)))}
    assert exact != served
    for near, rows in zip(brute_force(by_bits, run), exact.values(), strict=True):
        assert near[[places[row] for row in rows]] == pytest.approx(np.sort(near)[:DEPTH], abs=1e-5)


def test_where_exact_search_is_too_slow_the_most_candidates_stand_for_it(
    by_bits, judged, monkeypatch
):
    monkeypatch.setattr(runs, "EXACT_SECONDS", 0.0)
    few = QuestionSet(dict(list(judged.texts.items())[:50]), {})
    run = retrieve(by_bits, by_bits.new, embedder_of("wordllama-64"), few)
    assert run.widened == 50
    nearest = np.sort(brute_force(by_bits, run))[:, :K]
    found = [
        np.mean(distances <= row[-1] + 1e-6)
        for distances, row in zip(run.exact.distances.values(), nearest, strict=True)
    ]
    assert np.mean(found) > 0.99
