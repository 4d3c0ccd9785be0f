"""The rescued search of one table of passages, beside the exact search of its finished column."""

import time
from dataclasses import asdict, replace
from io import BytesIO
from typing import Any

import numpy as np
import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.embedding.embedder import Embedder
from ragkit.errors import DatabaseError
from ragkit.evaluation.bridge.sample import grow_sample
from ragkit.evaluation.metrics.rank_overlap import overlap
from ragkit.evaluation.questions import QuestionSet
from ragkit.evaluation.rescued.trial import Latency
from ragkit.migration.migration import Migration
from ragkit.migration.rescue.service import find_plan, start_rescue
from ragkit.retrieval.rescue.candidates.bridge import Bridge
from ragkit.retrieval.rescue.candidates.bridged import find_nearest
from ragkit.retrieval.rescue.candidates.full_text import find_candidates
from ragkit.retrieval.rescue.candidates.ranking import fuse, to_rank
from ragkit.retrieval.rescue.candidates.source import CANDIDATES
from tests.bench.rows import document_stream
from tests.conftest import make_plan
from tests.rescue.asking import Asking, K, cost, ndcg, rows_of
from tests.rescue.goals import ratio
from tests.rescue.large.passages import CHUNK, NEW_MODEL, OLD_DIMENSION, SEED, Passages
from tests.rescue.quality import mean_interval

RERANKS = (20, 100)
FULL_TEXT, BRIDGE, TOGETHER = "full text", "bridge", "together"


def load(engine: sa.Engine, passages: Passages) -> tuple[Migration, float]:
    """A table with an HNSW on its old vectors, and the seconds that it took."""
    start, name = time.monotonic(), f"passages_{len(passages.keys)}"
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"create table {name} (id bigint, content text, embedding vector({OLD_DIMENSION}))"
        )
        cursor = connection.connection.cursor()
        for place in range(0, len(passages.keys), CHUNK):
            part = slice(place, place + CHUNK)
            some = passages.keys[part].tolist(), passages.texts[part], passages.old[part]
            copy = f"copy {name} from stdin with (format binary)"
            cursor.execute(copy, stream=BytesIO(document_stream(*some)))
        connection.exec_driver_sql(f"alter table {name} add primary key (id)")
        connection.exec_driver_sql("set local maintenance_work_mem = '2GB'")
        connection.exec_driver_sql(
            f"create index on {name} using hnsw (embedding vector_cosine_ops)"
        )
        connection.exec_driver_sql(f"analyze {name}")
    plan = make_plan({
        "table.name": name, "table.label": "", "old.model": f"unknown/{OLD_DIMENSION}",
        "new.model": NEW_MODEL, "new.column": "embedding_new", "evaluation.k": K,
    })  # fmt: skip
    return Migration.open(plan, engine), time.monotonic() - start


def exact(passages: Passages, vectors: dict[str, np.ndarray]) -> dict[str, list[str]]:
    """The K nearest rows of each question among all new vectors."""
    found = {}
    for name, vector in vectors.items():
        similarity = passages.new @ vector
        best = np.argpartition(-similarity, K)[:K]
        best = best[np.argsort(-similarity[best], kind="stable")]
        found[name] = [str(key) for key in passages.keys[best]]
    return found


class Candidates:
    """The searches of candidates, each timed alone. `failed`: those that the server ended."""

    def __init__(self, migration: Migration, bridge: Bridge | None):
        self._migration, self._plan, self._bridge = migration, find_plan(migration), bridge
        self.ms: dict[str, list[float]] = {FULL_TEXT: [], BRIDGE: []}
        self.failed = {FULL_TEXT: 0, BRIDGE: 0}

    def find(self, question: str, vector: np.ndarray) -> tuple[list[str], list[str]]:
        """By full text, and by the bridge."""
        new, old, plan = self._migration.new, self._migration.old, self._plan
        words = self._timed(FULL_TEXT, find_candidates, new, plan, question, CANDIDATES)
        if self._bridge is None:
            return words, []
        mapped = self._bridge.to_old(vector)
        return words, self._timed(BRIDGE, find_nearest, old, plan.key, mapped, CANDIDATES)

    def _timed(self, way: str, search, *arguments) -> list[str]:
        start = time.perf_counter()
        try:
            with translate_errors(way), self._migration.engine.connect() as connection:
                return list(search(connection, *arguments))
        except DatabaseError:
            self.failed[way] += 1
            return []
        finally:
            self.ms[way].append(1000 * (time.perf_counter() - start))

    def latency(self) -> dict[str, Any]:
        return {
            way: asdict(Latency.of(times)) | {"failed": self.failed[way]}
            for way, times in self.ms.items() if times
        }  # fmt: skip


def measure(
    engine: sa.Engine, reader: sa.Engine, passages: Passages, questions: QuestionSet,
    model: Embedder,
) -> dict[str, Any]:  # fmt: skip
    """Nothing is filled beside the pairs of the bridge. Removes the table at the end."""
    migration, load_seconds = load(engine, passages)
    start = time.monotonic()
    started = start_rescue(migration, model)
    start_seconds = time.monotonic() - start
    vectors = {name: model.embed_query(questions.texts[name]) for name in questions.qrels}
    native = exact(passages, vectors)
    alone = _answers(migration, reader, questions, native, model)
    *_, fitting = grow_sample(migration, model, migration.plan.rescue.pairs)
    start_rescue(migration, model, fitting.bridge)
    recall, latency = _recall(migration, fitting.bridge, questions, vectors, native)
    result = fitting.result
    both = _answers(migration, reader, questions, native, model) if fitting.bridge else None
    with engine.begin() as connection:
        connection.exec_driver_sql(f"drop table {migration.quoted_table}")
    return {
        "rows": len(passages.keys), "questions": len(vectors),
        "seconds": {"load": round(load_seconds, 1), "start_rescue": round(start_seconds, 1)},
        "language": started.language, "text_index": started.text_index,
        "native": mean_interval(ndcg(questions, native)),
        "pairs": result.pairs, "method": result.method or None, "refused": result.refused,
        "overlap": asdict(result.overlap) if result.overlap else None,
        "candidates_ms": latency, "recall": recall,
        "answers": {FULL_TEXT: alone, TOGETHER: both},
    }  # fmt: skip


def _recall(
    migration: Migration, bridge: Bridge | None, questions: QuestionSet,
    vectors: dict[str, np.ndarray], native: dict[str, list[str]],
) -> tuple[dict[str, Any], dict[str, Any]]:  # fmt: skip
    """The share of the native first K rows among the first candidates, by their number and way; and
    how long the searches took."""
    candidates = Candidates(migration, bridge)
    found = {n: candidates.find(questions.texts[n], vector) for n, vector in vectors.items()}
    recall = {}
    for depth in RERANKS:
        ways = {FULL_TEXT: {name: words[:depth] for name, (words, _) in found.items()}}
        if bridge:
            ways[BRIDGE] = {name: near[:depth] for name, (_, near) in found.items()}
            ways[TOGETHER] = {
                n: to_rank(words, fuse([words, near]), depth) for n, (words, near) in found.items()
            }
        recall[str(depth)] = {
            way: mean_interval([len({*native[n]} & {*lists[n]}) / K for n in native])
            for way, lists in ways.items()
        }
    return recall, candidates.latency()


def _answers(
    migration: Migration, reader: sa.Engine, questions: QuestionSet,
    native: dict[str, list[str]], model: Embedder,
) -> dict[str, Any]:  # fmt: skip
    """By the number of texts that are embedded for a question: the rescued answers beside the
    exact ones."""
    plan, scores = find_plan(migration), ndcg(questions, native)
    figures = {}
    for rerank in RERANKS:
        asking = Asking(migration, replace(plan, rerank=rerank), model, reader)
        answers = asking.ask_all({name: questions.texts[name] for name in native}, forget=True)
        figures[str(rerank)] = {
            "overlap": mean_interval(overlap(native, rows_of(answers), K)),
            "ratio": asdict(ratio(ndcg(questions, rows_of(answers)), scores, SEED)),
            **cost(list(answers.values())),
        }
    return figures
