"""A table whose backfill goes by a batch API: the real SDK against its stand-in."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ragkit.embedding.load import load_embedder
from ragkit.migration.backfill.batch import stage
from ragkit.migration.migration import Migration
from ragkit.migration.plan.models.facts import ModelFacts
from ragkit.migration.schema.expansion import expand
from tests.conftest import changed, make_table
from tests.embedding.batch.conftest import CASES, Case
from tests.stand_ins.batches.jobs import Batches

PLACES = [f"Place {n} is a shop. Wool." for n in range(30)]
PRICE = 5.0
JOB_TEXTS = 20


@dataclass(frozen=True)
class Batched:
    """`migration` is expanded; its jobs have JOB_TEXTS texts at most."""

    case: Case
    live: Any
    jobs: Batches
    migration: Migration

    @property
    def embedder(self):
        plan = self.migration.plan
        return load_embedder(plan.new.model, plan.facts, self.case.env(self.live))

    @property
    def paid(self) -> list[str]:
        """The texts of all jobs, without what the model has put before each."""
        texts = [text for job in self.jobs.jobs for text in self.case.texts_of(job)]
        return [text.rpartition("text: ")[2] for text in texts]

    @property
    def paid_live(self) -> list[str]:
        texts = [text for asked in self.live.asked for text in asked.texts]
        return [text.rpartition("text: ")[2] for text in texts]


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(stage, "POLL_SECONDS", 0.02)


@pytest.fixture
def make(engine, plan) -> Iterator[Callable[..., Batched]]:
    """Of a provider; `changes` are of the plan."""
    opened = []

    def make(provider: str, texts: list[str | None] = PLACES, **changes: object) -> Batched:
        case = CASES[provider]
        serving = case.serving()
        live, jobs = serving.__enter__()
        opened.append(serving)
        facts = ModelFacts(**case.facts(live), usd_per_million_tokens=PRICE, batch_texts=JOB_TEXTS)
        named = {key.replace("__", "."): value for key, value in changes.items()}
        settings = {
            "new.model": f"{case.model}/256",
            "backfill.mode": "batch",
            "backfill.batch_folder": case.folder,
            **named,
        }
        of_case = changed(plan, {"backfill.batch_size": 10, **settings})
        of_case = of_case.model_copy(update={"model_facts": {case.model: facts}})
        make_table(engine, of_case, texts)
        migration = Migration.open(of_case, engine)
        expand(migration)
        return Batched(case, live, jobs, migration)

    yield make
    for serving in opened:
        serving.__exit__(None, None, None)


@pytest.fixture(params=CASES)
def batched(request, make) -> Batched:
    return make(request.param)
