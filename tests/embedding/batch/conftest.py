"""Each batch API by its real SDK against its stand-in."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ragkit.embedding.load import load_embedder
from tests.stand_ins.batches import genai, openai, vertex
from tests.stand_ins.batches.jobs import Batches, Job
from tests.stand_ins.embeddings.service import KEY


@dataclass(frozen=True)
class Case:
    """`path` is that of the API's base URL, None where an address in the environment names it;
    `job` is one that nobody knows."""

    model: str
    serving: Callable
    path: str | None
    key_env: str
    texts_of: Callable[[Job], list[str]]
    job: str = "batches/batch-1"

    def facts(self, live: Any) -> dict[str, Any]:
        if self.path is None:
            return {"shorter": (256,)}
        return {"base_url": f"{live.address}{self.path}", "key_env": self.key_env}

    def env(self, live: Any, key: str = KEY) -> dict[str, str]:
        address = {} if self.path is not None else {"VERTEX_ENDPOINT": live.address}
        return {self.key_env: key, **address}

    @property
    def folder(self) -> str:
        return "" if self.path is not None else vertex.FOLDER


JOB = "projects/wrong-key/locations/us-central1/batchPredictionJobs/1"
OF_VERTEX = vertex.serving, None, "GCP_PROJECT_ID", vertex.texts_of, JOB
CASES = {
    "openai": Case(
        "text-embedding-3-small", openai.serving, "/v1", "OPENAI_API_KEY", openai.texts_of
    ),
    "genai": Case("gemini-embedding-2", genai.serving, "", "GEMINI_API_KEY", genai.texts_of),
    "vertex": Case("text-embedding-005", *OF_VERTEX),
}
KEYED = Case("gemini-embedding-001", *OF_VERTEX)
"""The other way in which Vertex AI's files have their lines."""


@dataclass(frozen=True)
class Served:
    case: Case
    live: Any
    jobs: Batches

    def load(self, dimension: str = "", key: str = KEY):
        case = self.case
        facts = {**case.facts(self.live), "batch_folder": case.folder}
        name = f"{case.model}{dimension}"
        return load_embedder(name, {case.model: facts}, case.env(self.live, key))


@pytest.fixture(params=[*CASES, "keyed"])
def served(request) -> Iterator[Served]:
    case = CASES.get(request.param, KEYED)
    with case.serving() as (live, jobs):
        yield Served(case, live, jobs)
