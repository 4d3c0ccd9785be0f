import numpy as np

from ragkit.migration.backfill.model_calls import vector_cache
from ragkit.migration.backfill.model_calls.vector_cache import VectorCache


def test_a_text_has_the_vector_that_it_was_given():
    cache = VectorCache()
    assert cache.get("a") is None
    cache.put("a", np.ones(4, np.float32))
    assert cache.get("a").tolist() == [1, 1, 1, 1]
    assert cache.get("b") is None


def test_the_ones_used_longest_ago_are_forgotten(monkeypatch):
    monkeypatch.setattr(vector_cache, "MAX_BYTES", 3 * (16 + 4))
    cache = VectorCache()
    for text in "abc":
        cache.put(text, np.ones(4, np.float32))
    cache.get("a")
    cache.put("d", np.ones(4, np.float32))
    assert [text for text in "abcd" if cache.get(text) is not None] == ["a", "c", "d"]


def test_long_texts_count_too(monkeypatch):
    monkeypatch.setattr(vector_cache, "MAX_BYTES", 1000)
    cache = VectorCache()
    cache.put("a", np.ones(4, np.float32))
    cache.put("b" * 300, np.ones(4, np.float32))
    assert cache.get("a") is None and cache.get("b" * 300) is None
