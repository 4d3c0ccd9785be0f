"""The rows of the large table: real passages among made ones, and their vectors in both spaces.

The old model is wordllama-64, whose vectors are the first dimensions of those of the new one,
wordllama-256. A bridge between them is nearly exact: what it does not find, the old model's vectors
do not tell.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context

import numpy as np

from ragkit.embedding.embedder import Embedder
from ragkit.embedding.load import load_embedder
from ragkit.sandbox.sample import sample_rows
from tests.cranfield.conftest import DATA
from tests.rescue.large.chain import Chain, Words

NEW_MODEL, OLD_DIMENSION = "wordllama-256", 64
WORDS = 100
"""Of a passage at most, as a chunker would cut it."""
OTHERS, MADE = 2_000, 10_000
"""Keys of the sandbox's texts and of made passages begin here; those below are the collection's."""
CHUNK, PROCESSES, SEED = 5_000, 2, 1


@dataclass(frozen=True)
class Passages:
    """Keys, texts, and float32 vectors of shape (rows, dimension)."""

    keys: np.ndarray
    texts: list[str]
    old: np.ndarray
    new: np.ndarray

    def first(self, rows: int) -> "Passages":
        """In an order of their own: a table's real passages are spread over its pages."""
        order = np.random.default_rng(SEED).permutation(rows)
        texts = [self.texts[place] for place in order]
        return Passages(self.keys[order], texts, self.old[order], self.new[order])


@cache
def real_texts() -> dict[int, str]:
    """The collection's documents and the sandbox's texts, by key, cut to WORDS words."""
    lines = (DATA / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    texts = {int(d["_id"]): f"{d['title']} {d['text']}" for d in map(json.loads, lines)}
    texts |= {OTHERS + n: row["content"] or "" for n, row in enumerate(sample_rows())}
    cut = {key: " ".join(text.split()[:WORDS]) for key, text in texts.items()}
    return {key: text for key, text in cut.items() if text}


@cache
def _tools() -> tuple[Words, Chain, Embedder]:
    """Made once in each process."""
    words = Words.of(list(real_texts().values()))
    return words, Chain(words), load_embedder(NEW_MODEL)


def make(rows: int) -> Passages:
    """The real ones first; the same ones each time."""
    real, (_, _, model) = real_texts(), _tools()
    keys, texts = [*real, *range(MADE, MADE + rows - len(real))], list(real.values())
    vectors = [model.embed_documents(texts)]
    for made, new in _made(rows - len(real)):
        texts += made
        vectors.append(new)
    new = np.concatenate(vectors)
    old = new[:, :OLD_DIMENSION] / np.linalg.norm(new[:, :OLD_DIMENSION], axis=1, keepdims=True)
    return Passages(np.array(keys), texts, old, new)


def _made(rows: int) -> Iterator[tuple[list[str], np.ndarray]]:
    parts = [(start, min(CHUNK, rows - start)) for start in range(0, rows, CHUNK)]
    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:
        yield from pool.map(_make_part, parts)


def _make_part(part: tuple[int, int]) -> tuple[list[str], np.ndarray]:
    """As long as the real ones."""
    start, count = part
    words, chain, model = _tools()
    known = np.array([len(text.split()) for text in real_texts().values()])
    lengths = np.random.default_rng((SEED, start)).choice(known, count)
    texts = [" ".join(words.vocabulary[row]) for row in chain.draw(lengths, start)]
    return texts, model.embed_documents(texts)
