"""Ways in which stored vectors may have been made: a model, a task, and a template of the text."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

from ragkit.embedding.catalogue import CATALOGUE, Model, find_model, is_plugin
from ragkit.embedding.catalogue.facts import Facts
from ragkit.embedding.embedder import PROBE_TEXT, Embedder
from ragkit.embedding.load import load_embedder, load_model
from ragkit.embedding.long_texts.embedder import for_rows
from ragkit.errors import ConfigError, ModelError
from ragkit.migration.backfill.model_calls.embed import embed_texts

PATIENCE_SECONDS = 20.0
"""For a busy model: another candidate may explain the vectors."""
TASKS = ("RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY", "SEMANTIC_SIMILARITY", None)
"""Of Vertex AI, that documents are embedded with, on purpose or not."""
SEPARATORS = ("\n", " ", ". ", ": ")
"""Between two columns of a template."""
AS_QUESTION = "as a question"
Embed = Callable[[Sequence[str]], dict[int, np.ndarray]]
"""From texts to vectors by position; a text that is refused has none."""


@dataclass(frozen=True)
class Way:
    """`task` is "" for the one that the model's documents have."""

    model: str
    task: str
    embed: Embed


@dataclass(frozen=True)
class Candidates:
    """Models that answered, and for each of the others one line that says why not."""

    embedders: list[Embedder]
    skipped: list[str]


def plausible_models(
    names: Iterable[str], dimension: int, used: int, facts: Facts | None = None
) -> tuple[list[str], list[str]]:
    """`names` and the catalogue's, as far as their vectors could be stored with `dimension`, of
    which the first `used` are not always 0: those with as many dimensions, and plug-ins, whose
    dimension only a call tells; then those that would have been cut or padded."""
    shorter = [f"{m.name}/{dimension}" for m in CATALOGUE.values() if dimension in m.shorter]
    whole = [name for name in CATALOGUE if f"{name}/{dimension}" not in shorter]
    same, others = [], []
    for name in dict.fromkeys([*names, *shorter, *whole]):
        made = None if is_plugin(name) else find_model(name, facts).dimension
        if made is None or made == dimension:
            same.append(name)
        elif made >= used:
            others.append(name)
    return same, others


def load_callable(
    names: Iterable[str], facts: Facts | None = None, env: Mapping[str, str] = os.environ
) -> Candidates:
    """Calls each with one short text."""
    embedders: list[Embedder] = []
    skipped: list[str] = []
    for name in names:
        try:
            embedder = load_embedder(name, facts, env)
            embedder.embed_query(PROBE_TEXT)
        except (ConfigError, ModelError) as error:
            skipped.append(f"{name}: {error}")
        else:
            embedders.append(embedder)
    return Candidates(embedders, skipped)


def own_way(embedder: Embedder) -> Way:
    """As the model's documents are embedded."""
    return Way(embedder.model.name, "", _documents(embedder))


def other_ways(embedder: Embedder) -> Iterator[Way]:
    """As a question, and with the other tasks of a service that knows tasks."""
    model = embedder.model
    yield Way(model.name, AS_QUESTION, _questions(embedder))
    if model.provider == "vertex" and model.document_task:
        for task in TASKS:
            if task not in (model.document_task, model.query_task):
                other = _with_task(model, task)
                yield Way(model.name, str(task or "no task"), _documents(other))


def joined_columns(texts: dict[str, list[str]]) -> dict[str, list[str]]:
    """Templates of two of the first three columns, by how they are joined."""
    return {
        f"{first} + {separator!r} + {second}": [
            f"{a}{separator}{b}" for a, b in zip(texts[first], texts[second], strict=True)
        ]
        for first, second in permutations(list(texts)[:3], 2)
        for separator in SEPARATORS
    }


def _with_task(model: Model, task: str | None) -> Embedder:
    return load_model(replace(model, document_task=task))


def _documents(embedder: Embedder) -> Embed:
    """Long texts are cut, as many clients do without a word."""
    embedder = for_rows(embedder, "cut")

    def embed(texts: Sequence[str]) -> dict[int, np.ndarray]:
        return embed_texts(embedder, texts, PATIENCE_SECONDS).vectors

    return embed


def _questions(embedder: Embedder) -> Embed:
    def embed(texts: Sequence[str]) -> dict[int, np.ndarray]:
        vectors = {}
        for position, text in enumerate(texts):
            try:
                vectors[position] = embedder.embed_query(text)
            except ModelError:
                continue
        return vectors

    return embed
