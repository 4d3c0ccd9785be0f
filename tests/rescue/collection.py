"""The rescued service on the Cranfield collection, as a table that is too large to be scanned."""

from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from ragkit.embedding.embedder import Embedder
from ragkit.evaluation.questions import read_questions
from ragkit.evaluation.runs import retrieve
from ragkit.migration.migration import Migration
from ragkit.migration.rescue.service import find_plan
from ragkit.sandbox.postgres import Postgres
from tests.conftest import ROLE, embedder_of
from tests.cranfield.conftest import DATA, migrate
from tests.cranfield.test_rescue import rescue_copy
from tests.rescue.asking import Asking, judged, ndcg
from tests.rescue.quality import compare, mean_interval
from tests.rescue.server import DATABASE, READER


def count(migration: Migration) -> int:
    """The rows of its table."""
    with migration.engine.connect() as connection:
        return connection.scalar(migration.select(sa.func.count()))


def measure(postgres: Postgres, minilm: Embedder) -> dict[str, Any]:
    """As `quality.measure`, but nothing is filled beside the pairs of the bridge."""
    engine, reader = postgres.engine(ROLE, DATABASE), postgres.engine(READER, DATABASE)
    migration = migrate(engine, embedder_of("wordllama-256"), minilm)
    questions = read_questions(DATA / "queries.jsonl", DATA / "qrels.tsv")
    native = ndcg(questions, retrieve(migration, migration.new, minilm, questions).rankings)
    copied, model, fitting = rescue_copy(migration, minilm)
    plan, texts = find_plan(copied), judged(questions)
    first, traffic = Asking(copied, plan, model, reader), Asking(copied, plan, model)
    figures = {
        "rows": count(copied), "questions": len(texts), "pairs": fitting.result.pairs,
        "method": fitting.bridge.method if fitting.bridge else None,
        "refused": fitting.result.refused, "overlap": asdict(fitting.result.overlap),
        "native": mean_interval(native),
        "first": compare(questions, first.ask_all(texts, forget=True), native),
        "traffic": compare(questions, traffic.ask_all(texts), native),
    }  # fmt: skip
    reader.dispose()
    engine.dispose()
    return figures
