"""From a job's answers to the rows: written, queued for the live API, or put into a new job.

What was written before a kill is not written again, and a job is paid for once, when it ends.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from ragkit.database.translate import translate_errors
from ragkit.embedding.batch.protocol import BatchEmbedder, Look, Result, digest_of
from ragkit.embedding.catalogue import CHARACTERS_PER_TOKEN
from ragkit.embedding.embedder import fit_vectors
from ragkit.errors import BadVectors, BatchLost, ModelUnavailable, WrongDimension
from ragkit.migration.backfill.model_calls.costs import BATCHES, record_cost
from ragkit.migration.backfill.throttle import Throttle
from ragkit.migration.backfill.writing.writer import Writer
from ragkit.migration.migration import Migration
from ragkit.migration.work import jobs, queue
from ragkit.migration.work.jobs import Job
from ragkit.migration.work.rows import read_keys
from ragkit.retry import retry_database

ANSWERS = 1000
"""That are read and not yet written."""
FEW = 100
"""Texts that the provider refuses are asked for once more, live, where a control text tells whether
it is they; if there are more and no text was taken, it is not they."""
MAX_FAILURES = 3
"""Jobs in a row that brought nothing for the same rows; then the run is to stop."""
log = logging.getLogger(__name__)


@dataclass
class _Outcome:
    """Of the texts of a job: `left` has the keys of those without an answer, by digest."""

    left: dict[str, list[str]]
    reason: str
    answered: int = 0
    tokens: int = 0
    refused: list[str] = field(default_factory=list)


class Collector:
    """Collects jobs that have ended. Where jobs are not wanted `again`, what is left is queued."""

    def __init__(
        self, migration: Migration, batches: BatchEmbedder, writer: Writer, throttle: Throttle,
        again: bool,
    ):  # fmt: skip
        self._migration, self._batches, self._model = migration, batches, batches.model
        self._writer, self._throttle, self._again = writer, throttle, again
        self.given_up: ModelUnavailable | None = None

    def collect(self, worker: str, job: Job, look: Look) -> Iterator[int]:
        """The number of rows that landed, after each write.

        `given_up` is set when nothing comes again and again. Raises WrongDimension, or ModelBusy:
        then the job stays as it was. Raises DatabaseError.
        """
        keys_of: dict[str, list[str]] = {}
        for key, digest in zip(job.keys, job.digests or (), strict=True):
            keys_of.setdefault(digest, []).append(key)
        outcome = _Outcome(dict(keys_of), look.reason)
        try:
            results = self._batches.collect(job.remote or "")
            while some := list(islice(results, ANSWERS)):
                vectors = self._sort_out(some, outcome)
                keys = [key for digest in keys_of if digest in vectors for key in keys_of[digest]]
                yield from self._write(keys, vectors)
        except BatchLost:
            outcome.reason = "lost"
        self._end(worker, job, outcome, look.is_full)

    def _sort_out(self, results: Sequence[Result], outcome: _Outcome) -> dict[str, np.ndarray]:
        """The vectors by the digests of their texts. Raises WrongDimension."""
        vectors = {}
        for result in results:
            outcome.tokens += result.tokens or 0  # a wrong answer is paid for too
            vector = self._vector(result)
            if vector is None and not result.is_refused:
                outcome.reason = outcome.reason or result.error or "wrong vectors"
            elif keys := outcome.left.pop(result.id, None):
                if vector is None:
                    outcome.refused += keys
                else:
                    vectors[result.id] = vector
        outcome.answered += len(vectors)
        return vectors

    def _vector(self, result: Result) -> np.ndarray | None:
        if result.vector is None:
            return None
        try:
            vector: np.ndarray = fit_vectors([result.vector], 1, self._model)[0]
        except WrongDimension:
            raise
        except BadVectors:
            return None
        return vector if vector.any() else None  # no search by cosine finds zeros

    def _write(self, keys: Sequence[str], vectors: Mapping[str, np.ndarray]) -> Iterator[int]:
        """A row whose text is another by now, or that has a vector, needs nothing of them."""
        while keys:
            size = self._writer.size.rows
            part, keys = keys[:size], keys[size:]
            read = {row.key: row for row in retry_database(read_keys, self._migration, part)}
            rows = [read[key] for key in part if key in read]
            made = [vectors.get(digest_of(row.text)) for row in rows]
            pairs = [(row, v) for row, v in zip(rows, made, strict=True) if v is not None]
            if pairs:
                landing, stack = zip(*pairs, strict=True)
                yield self._writer.write(landing, np.stack(stack))
                self._throttle.wait_if_slow()

    def _end(self, worker: str, job: Job, outcome: _Outcome, is_full: bool) -> None:
        left = [key for keys in outcome.left.values() for key in keys]
        reason, refused = outcome.reason if left else "", outcome.refused
        if len(refused) > FEW and not outcome.answered:
            left, refused, reason = left + refused, [], "every text is refused"
        queued = refused if self._again else refused + left
        for start in range(0, len(queued), ANSWERS):
            part = queued[start : start + ANSWERS]
            retry_database(queue.put_back, self._migration, part)
        failures = 0 if outcome.answered or is_full else job.failures + 1
        reason = f"{reason or 'no answer'}; {len(left):,} rows go again" if left else ""
        retry_database(self._record, worker, job, left, failures, reason, outcome, is_full)
        if left:
            log.warning("batch %s: %s", job.remote, reason)
        if left and failures >= MAX_FAILURES:
            self.given_up = ModelUnavailable(
                f"{self._model.name}: {failures} batches in a row have brought nothing for "
                f"{len(left):,} rows, which are pending; the last one: {outcome.reason}. Run this "
                "again, or set backfill.mode: live"
            )

    def _record(
        self, worker: str, job: Job, left: list[str], failures: int, reason: str,
        outcome: _Outcome, is_full: bool,
    ) -> None:  # fmt: skip
        migration, model = self._migration, self._model
        tokens = outcome.tokens
        if outcome.answered and not tokens:  # the service does not say
            tokens = job.bytes // CHARACTERS_PER_TOKEN + 1
        usd = model.batch_price(tokens)
        with translate_errors("ending a job"), migration.engine.begin() as connection:
            if not jobs.end(connection, worker, job, tokens, usd, reason):
                return  # another worker does it
            if tokens:
                record_cost(connection, migration, model.name + BATCHES, tokens, usd)
            if left and self._again:
                is_alone = is_full and not jobs.count(connection, migration).at_the_provider
                size = job.bytes * len(left) // len(job.keys)
                for part in _halves(left) if is_alone else [left]:
                    share = size * len(part) // len(left)
                    jobs.add(connection, migration, model, part, share, failures)


def _halves(keys: list[str]) -> list[list[str]]:
    """A job that is more than the account may have waiting at once."""
    half = (len(keys) + 1) // 2
    return [part for part in (keys[:half], keys[half:]) if part]
