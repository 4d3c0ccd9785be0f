"""Each service by its real SDK against its stand-in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from ragkit.embedding.embedder import Embedder
from ragkit.embedding.load import load_embedder
from tests.stand_ins.embeddings import cohere, genai, openai, voyage
from tests.stand_ins.embeddings.service import KEY, Service


@dataclass(frozen=True)
class Case:
    """A model, its stand-in, where it is told its address and key."""

    model: str
    serving: Callable
    path: str
    key_env: str


CASES = {
    "openai": Case("text-embedding-3-small", openai.serving, "/v1", "OPENAI_API_KEY"),
    "genai": Case("gemini-embedding-2", genai.serving, "", "GEMINI_API_KEY"),
    "cohere": Case("embed-v4.0", cohere.serving, "", "CO_API_KEY"),
    "voyage": Case("voyage-4", voyage.serving, "/v1", "VOYAGE_API_KEY"),
}


@dataclass(frozen=True)
class Served:
    """`load` makes an embedder of the case's model, or of another name, that asks `service`."""

    case: Case
    service: Service

    def load(self, dimension: str = "", key: str = KEY, **more: object) -> Embedder:
        case = self.case
        url = f"{self.service.address}{case.path}"
        facts = {case.model: {"base_url": url, "key_env": case.key_env, **more}}
        return load_embedder(f"{case.model}{dimension}", facts, {case.key_env: key})


@contextmanager
def serve(name: str, **settings: object) -> Iterator[Served]:
    case = CASES[name]
    with case.serving(**settings) as service:
        yield Served(case, service)


@pytest.fixture(params=CASES)
def served(request) -> Iterator[Served]:
    with serve(request.param) as found:
        yield found
