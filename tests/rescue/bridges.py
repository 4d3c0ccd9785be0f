"""Bridges into two other columns: the real vectors of two Google models, and random vectors."""

from dataclasses import asdict
from typing import Any

import numpy as np

from ragkit.evaluation.bridge.cross_validation import cross_validate, fit_bridge
from ragkit.evaluation.bridge.sample import grow_sample
from ragkit.evaluation.questions import QuestionSet
from ragkit.evaluation.rescued.trial import time_map
from ragkit.migration.migration import Migration
from ragkit.migration.rescue.service import find_plan, start_rescue
from ragkit.sandbox.postgres import Postgres
from tests.conftest import ROLE, changed
from tests.cranfield.test_rescue import Known
from tests.evaluation.bridge.test_cross_validation import SEED, K, read_real
from tests.rescue.asking import Asking, judged, ndcg
from tests.rescue.quality import compare
from tests.rescue.sandbox import Prepared
from tests.rescue.server import DATABASE, READER

PAIRS = 200


def real() -> dict[str, Any]:
    """From text-embedding-005 into textembedding-gecko@001."""
    sample = read_real()
    result = cross_validate(sample, K, SEED)
    bridge = fit_bridge(sample, result)
    return {
        "pairs": result.pairs, "method": bridge.method if bridge else None,
        "overlap": asdict(result.overlap), "chance": result.chance, "refused": result.refused,
        "overlap_by_method": result.candidates, "map_ms": time_map(bridge) if bridge else None,
    }  # fmt: skip


def random(prepared: Prepared, questions: QuestionSet, model: Known, postgres: Postgres):
    """The sandbox's texts beside an old column of random vectors, with PAIRS pairs."""
    migration = _random_table(prepared, postgres)
    start_rescue(migration, model)
    *_, fitting = grow_sample(migration, model, PAIRS)
    rescue = start_rescue(migration, model, fitting.bridge)
    with migration.engine.begin() as connection:
        column = migration.plan.new.column
        connection.exec_driver_sql(f"update amenities set {column} = null")
    reader = postgres.engine(READER, DATABASE)
    asking = Asking(migration, find_plan(migration), model, reader)
    answers = asking.ask_all(judged(questions), forget=True)
    reader.dispose()
    migration.engine.dispose()
    overlap = fitting.result.overlap
    return {
        "pairs": fitting.result.pairs, "refused": fitting.result.refused,
        "is_refused": int(fitting.bridge is None), "bridge": rescue.bridge,
        "overlap": asdict(overlap) if overlap else None, "chance": fitting.result.chance,
        "quality": compare(questions, answers, ndcg(questions, prepared.native)),
    }  # fmt: skip


def _random_table(prepared: Prepared, postgres: Postgres) -> Migration:
    """A table of the same name in another database."""
    source = prepared.migration
    with source.engine.connect() as connection:
        rows = connection.exec_driver_sql("select id, name, content from amenities").all()
    vectors = np.random.default_rng(SEED).normal(size=(len(rows), 256))
    engine = postgres.engine(ROLE, DATABASE)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "create table amenities (id int primary key, name text, content text, "
            "embedding vector(256))"
        )
        insert = "insert into amenities values (%s, %s, %s, %s)"
        for row, vector in zip(rows, vectors, strict=True):
            connection.exec_driver_sql(insert, (*row, str(vector.tolist())))
    plan = changed(source.plan, {"table.category": ""})
    return Migration.open(plan, engine)
