"""Each batch API by its real SDK against its stand-in."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from ragkit.embedding.load import load_embedder
from tests.stand_ins.batches import genai, openai
from tests.stand_ins.batches.jobs import Batches, Job
from tests.stand_ins.embeddings.service import KEY, Service


@dataclass(frozen=True)
class Case:
    model: str
    serving: Callable
    path: str
    key_env: str
    texts_of: Callable[[Job], list[str]]


CASES = {
    "openai": Case(
        "text-embedding-3-small", openai.serving, "/v1", "OPENAI_API_KEY", openai.texts_of
    ),
    "genai": Case("gemini-embedding-2", genai.serving, "", "GEMINI_API_KEY", genai.texts_of),
}


@dataclass(frozen=True)
class Served:
    case: Case
    live: Service
    jobs: Batches

    @property
    def facts(self):
        url = f"{self.live.address}{self.case.path}"
        return {"base_url": url, "key_env": self.case.key_env}

    def load(self, dimension: str = "", key: str = KEY):
        name = f"{self.case.model}{dimension}"
        return load_embedder(name, {self.case.model: self.facts}, {self.case.key_env: key})


@pytest.fixture(params=CASES)
def served(request) -> Iterator[Served]:
    case = CASES[request.param]
    with case.serving() as (live, jobs):
        yield Served(case, live, jobs)
