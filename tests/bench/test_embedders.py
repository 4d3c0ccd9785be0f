"""Embedders whose speed is what they say."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ragkit.embedding.catalogue import find_model
from tests.bench.embedders import FAST, INSTANT, SLOW, KnownSpeed, Speed

MODEL = find_model("text-embedding-005")


@pytest.mark.parametrize(
    ("speed", "texts", "seconds"),
    [(SLOW, 20_000, 7.5), (SLOW, 1, 0.3), (SLOW, 801, 0.6), (FAST, 20_000, 0.5), (INSTANT, 9, 0)],
)
def test_the_limit_is_that_of_full_requests_always_in_flight(speed, texts, seconds):
    assert speed.limit_seconds(texts) == pytest.approx(seconds)


def test_no_more_than_eight_requests_are_served_at_once():
    embedder = KnownSpeed(MODEL, Speed(0.1, 10))
    start = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(embedder.embed_documents, [["a text"]] * 17))
    assert time.monotonic() - start >= 0.3  # 8, 8 and 1
    assert embedder.requests == 17
    assert embedder.busy_seconds == pytest.approx(1.7)


def test_more_texts_than_a_request_takes_are_several_requests():
    embedder = KnownSpeed(MODEL, Speed(0.0, 10))
    vectors = embedder.embed_documents([str(n) for n in range(25)])
    assert vectors.shape == (25, 768)
    assert embedder.requests == 3


def test_a_text_has_one_vector_and_others_have_another():
    embedder = KnownSpeed(MODEL, INSTANT)
    first, second = embedder.embed_documents(["one", "two"])
    assert np.array_equal(embedder.embed_query("one"), first)
    assert not np.array_equal(first, second)
    assert 0.8 < np.linalg.norm(first) < 1.2
