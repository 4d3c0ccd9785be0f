"""Texts and vectors of the tables, cheap to make and the same in every process. numpy alone: a
peer's environment holds nothing of ragkit's."""

import struct
import zlib
from collections.abc import Sequence
from functools import cache

import numpy as np

TOPICS, NOISE = 32, 0.5
OFFSETS = 1 << 16
"""Of the windows: so many different new vectors there are."""
PLAIN_WORDS = """
    gate lounge terminal coffee window platform evening quiet fresh market river station bread
    garden travel morning counter ticket silver harbour library northern people walking music
    service public every small open near with from after before the a of and to in
"""
SHORTEST, LONGEST = 120, 600
"""Characters of a text, before its number."""
_HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
_TRAILER = struct.pack("!h", -1)


@cache
def _prose() -> str:
    return " ".join(np.random.default_rng(5).choice(PLAIN_WORDS.split(), 20_000))


def texts(start: int, count: int) -> list[str]:
    """Of the rows `start` and following: 120 to 600 characters of plain words."""
    random, prose = np.random.default_rng(start), _prose()
    lengths = random.integers(SHORTEST, LONGEST, count)
    places = random.integers(0, len(prose) - LONGEST, count)
    return [
        f"Document {start + n}. {prose[place : place + length]}"
        for n, (place, length) in enumerate(zip(places, lengths, strict=True))
    ]


def old_vectors(start: int, count: int, dimension: int) -> np.ndarray:
    """float32 of shape (count, dimension). Mixtures of topics around a mean, spread as the vectors
    of text-embedding-005 are (mean cosine of two rows 0.4 to 0.5, standard deviation 0.09,
    participation ratio 34 among 120 rows): an HNSW of independent values would be slower to write
    than any real one."""
    shared = np.random.default_rng(7)
    topics, mean = shared.normal(size=(TOPICS, dimension)), shared.normal(size=dimension)
    random = np.random.default_rng(start)
    mixed = mean + random.normal(size=(count, TOPICS)) @ topics / TOPICS**0.5
    mixed += NOISE * random.normal(size=(count, dimension))
    return (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)


@cache
def _windows(dimension: int) -> np.ndarray:
    values = np.random.default_rng(9).normal(size=OFFSETS + dimension) / dimension**0.5
    return np.lib.stride_tricks.sliding_window_view(values.astype(np.float32), dimension)


def new_vectors(contents: Sequence[str], dimension: int) -> np.ndarray:
    """float32 of shape (len(contents), dimension): a window of one random array for each text."""
    offsets = [zlib.crc32(text.encode()) % OFFSETS for text in contents]
    return _windows(dimension)[offsets]


def copy_stream(keys: Sequence[int], vectors: np.ndarray) -> bytes:
    """The binary COPY stream of (key bigint, vector), by one numpy record a row."""
    dimension = vectors.shape[1]
    record = np.dtype([
        ("fields", ">i2"), ("key_size", ">i4"), ("key", ">i8"), ("size", ">i4"),
        ("dimension", ">i2"), ("unused", ">i2"), ("vector", ">f4", (dimension,)),
    ])  # fmt: skip
    rows = np.zeros(len(keys), record)
    rows["fields"], rows["key_size"], rows["key"] = 2, 8, keys
    rows["size"], rows["dimension"], rows["vector"] = 4 + 4 * dimension, dimension, vectors
    return _HEADER + rows.tobytes() + _TRAILER


def document_stream(keys: Sequence[int], contents: Sequence[str], vectors: np.ndarray) -> bytes:
    """The binary COPY stream of (id bigint, content, embedding)."""
    dimension = vectors.shape[1]
    vector_header = struct.pack("!ihh", 4 + 4 * dimension, dimension, 0)
    parts = [_HEADER]
    for key, text, body in zip(keys, contents, vectors.astype(">f4"), strict=True):
        content = text.encode()
        parts += (struct.pack("!hiqi", 3, 8, key, len(content)), content)
        parts += (vector_header, body.tobytes())
    return b"".join((*parts, _TRAILER))
