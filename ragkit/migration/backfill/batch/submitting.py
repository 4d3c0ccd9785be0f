"""From a job's rows to the provider: their texts as a file, which is recorded, paid for and sent.

What may have been submitted before a kill is looked for first. Identical texts are sent once.
"""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.embedding.batch.protocol import BatchEmbedder, digest_of
from ragkit.embedding.embedder import Embedder
from ragkit.embedding.long_texts.split import limits_of
from ragkit.embedding.requests import INITIAL_TOKENS_PER_BYTE, SAFETY
from ragkit.errors import ModelBusy, ModelError
from ragkit.migration.backfill.model_calls.costs import require_budget
from ragkit.migration.migration import Migration
from ragkit.migration.work import jobs, queue
from ragkit.migration.work.jobs import Job
from ragkit.migration.work.rows import Row, read_keys
from ragkit.retry import retry_database

CHUNK_ROWS = 1000
"""That are read at once."""
_LOCK = sa.text("select pg_advisory_xact_lock(hashtextextended('ragkit spending ' || :id, 0))")
log = logging.getLogger(__name__)


class Submitter:
    """Submits jobs of one model. `embedder` tells which texts the model takes whole: others are
    left to the live API, which treats them as `new.long_texts` says."""

    def __init__(self, migration: Migration, embedder: Embedder, batches: BatchEmbedder):
        self._migration, self._batches = migration, batches
        self._model = embedder.model
        self._whole = None
        if migration.plan.new.long_texts != "refuse":
            self._whole = limits_of(embedder)[0]

    def submit(self, worker: str, job: Job) -> None:
        """Raises BudgetExceeded, ModelBusy (the job may be submitted: see `recover`), ModelError
        for a refusal, DatabaseError."""
        with tempfile.TemporaryDirectory(prefix="ragkit-") as folder:
            lines = Path(folder) / "texts.jsonl"
            sent, size, rest = self._write(job, lines)
            if not retry_database(self._record, worker, job, sent, size, rest):
                return
            label = replace(job, attempt=job.attempt + 1).label
            try:
                remote = self._batches.submit(label, lines)
            except ModelBusy:
                raise
            except ModelError:
                self._leave(worker, job, state=jobs.PREPARED, usd=0.0)
                raise
        log.info("%d texts are submitted as batch %s", len(set(sent.values())), remote)
        self._submitted(worker, job, remote)

    def recover(self, worker: str, job: Job) -> None:
        """For a job of which nobody knows whether it was submitted. Raises ModelError,
        DatabaseError."""
        if remote := self._batches.find(job.label, job.created_at):
            log.info("a job whose submission was cut short is batch %s", remote)
            self._submitted(worker, job, remote)
        else:
            self._leave(worker, job, state=jobs.PREPARED, usd=0.0, looked_at=None)

    def _submitted(self, worker: str, job: Job, remote: str) -> None:
        now = sa.func.clock_timestamp()
        values = {"state": jobs.SUBMITTED, "remote": remote, "submitted_at": now}
        self._leave(worker, job, **values)

    def _leave(self, worker: str, job: Job, **values: object) -> None:
        retry_database(jobs.leave, self._migration, worker, job, **values)

    def _write(self, job: Job, lines: Path) -> tuple[dict[str, str], int, list[str]]:
        """Digests by the keys of the rows that are in the file, the bytes of their different texts,
        and the keys that found no room in it."""
        sent, seen, size, room = dict[str, str](), set[str](), 0, self._model.batch_bytes
        with lines.open("w", encoding="utf-8", newline="\n") as file:
            for start in range(0, len(job.keys), CHUNK_ROWS):
                for row in self._rows(job.keys[start : start + CHUNK_ROWS]):
                    if (digest := digest_of(row.text)) not in seen:
                        line = self._batches.line(digest, row.text)
                        length = len(line.encode())
                        if length > room and seen:
                            return sent, size, [key for key in job.keys if key not in sent]
                        file.write(line)
                        room -= length
                        size += len(row.text.encode())
                        seen.add(digest)
                    sent[row.key] = digest
        return sent, size, []

    def _rows(self, keys: Sequence[str]) -> Iterator[Row]:
        """Those that are still pending, as they are in the job."""
        rows = {row.key: row for row in retry_database(read_keys, self._migration, keys)}
        long = {key for key, row in rows.items() if not self._fits(row.text)}
        if long:
            retry_database(queue.put_back, self._migration, list(long))
        return (rows[key] for key in keys if key in rows and key not in long)

    def _fits(self, text: str) -> bool:
        return self._whole is None or self._whole.end(text, 0) == len(text)

    def _record(
        self, worker: str, job: Job, sent: dict[str, str], size: int, rest: list[str]
    ) -> bool:
        """What is sent, and what it may cost; whether there is something to send. The rest is
        another job."""
        migration, model = self._migration, self._model
        with translate_errors("recording a job"), migration.engine.begin() as connection:
            if not sent:
                jobs.end(connection, worker, job, 0, 0.0, "")
                return False
            connection.execute(_LOCK, {"id": migration.id})
            seen = jobs.tokens_a_byte(connection, migration, model)
            ratio = SAFETY * seen if seen else INITIAL_TOKENS_PER_BYTE
            usd = model.batch_price(round(size * ratio))
            require_budget(connection, migration, usd)
            if rest:
                jobs.add(connection, migration, model, rest, max(job.bytes - size, 0))
            return jobs.change(
                connection, worker, job, state=jobs.SUBMITTING, keys=list(sent),
                digests=list(sent.values()), rows=len(sent), bytes=size, usd=usd,
                attempt=job.attempt + 1, looked_at=sa.func.clock_timestamp(),
            )  # fmt: skip
