"""The same figures on growing tables: what full text and the bridge find among more rows."""

import time
from collections.abc import Sequence
from typing import Any

from ragkit.embedding.load import load_embedder
from ragkit.evaluation.questions import read_questions
from ragkit.sandbox.postgres import Postgres
from tests.conftest import ROLE
from tests.cranfield.conftest import DATA
from tests.rescue.asking import some
from tests.rescue.large import table
from tests.rescue.large.passages import NEW_MODEL, make, real_texts
from tests.rescue.server import DATABASE, READER


def measure(postgres: Postgres, sizes: Sequence[int], asked: int) -> dict[str, Any]:
    """`asked` of the collection's judged questions. Raises ValueError for a table that does not
    hold the real passages."""
    real = len(real_texts())
    if min(sizes) <= real:
        raise ValueError(f"the smallest table is to have more than the {real} real passages")
    start = time.monotonic()
    passages = make(max(sizes))
    seconds = round(time.monotonic() - start, 1)
    known = read_questions(DATA / "queries.jsonl", DATA / "qrels.tsv")
    questions = some(known, asked)
    model = load_embedder(NEW_MODEL)
    engine, reader = postgres.engine(ROLE, DATABASE), postgres.engine(READER, DATABASE)
    try:
        steps = [
            table.measure(engine, reader, passages.first(rows), questions, model)
            for rows in sorted(sizes)
        ]
    finally:
        reader.dispose()
        engine.dispose()
    return {"real_passages": real, "make_seconds": seconds, "tables": steps}
