"""A unit with a slow model that notes each text it is asked for, and by which process."""

import json
import os
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from ragkit.embedding.load import load_embedder
from ragkit.migration.backfill.engine.unit import Done, work
from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan
from tests.stand_ins.recording import RecordingEmbedder


@dataclass(frozen=True)
class NotedUnit:
    """A Unit. `notes` is a file; `seconds` what the model takes for a request."""

    plan: Plan
    url: str
    notes: Path
    seconds: float = 0.02
    unit_seconds: float = 0.5

    def __call__(self) -> Done:
        embedder = RecordingEmbedder(load_embedder(self.plan.new.model), self._ask)
        engine = sa.create_engine(self.url)
        try:
            migration = Migration.open(self.plan, engine)
            return work(migration, embedder, seconds=self.unit_seconds)
        finally:
            engine.dispose()

    def _ask(self, texts) -> None:
        line = json.dumps([os.getpid(), list(texts)]) + "\n"
        with self.notes.open("a") as file:
            file.write(line)
        time.sleep(self.seconds)

    def asked(self) -> list[tuple[int, list[str]]]:
        """Each request: the process, and the texts."""
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        return [tuple(json.loads(line)) for line in lines]

    def texts(self) -> Counter[str]:
        """How often each text was paid for."""
        return Counter(text for _, texts in self.asked() for text in texts)
