"""What each local model has from the common class; test_fastembed.py asks a real one."""

import pytest

from ragkit.embedding.catalogue import find_model
from ragkit.embedding.local import LocalEmbedder, told_by_itself
from ragkit.errors import ModelUnavailable


class OutOfMemory(LocalEmbedder):
    """As torch ends."""

    model = find_model("fastembed:a/b/8")

    def token_spans(self, text):
        return [(0, len(text))] if text else []

    def _encode(self, texts, is_query):
        raise RuntimeError(f"CUDA out of memory: {texts}")


@pytest.mark.parametrize("verb", ["embed_documents", "embed_query"])
def test_a_library_that_fails_is_told_without_the_texts(verb):
    argument = ["a canary"] if verb == "embed_documents" else "a canary"
    with pytest.raises(ModelUnavailable, match=r"fastembed:a/b/8 fails.*RuntimeError") as error:
        getattr(OutOfMemory(), verb)(argument)
    assert "canary" not in f"{error.value!r} {error.value.__cause__!r}"


def test_more_dimensions_than_it_makes_are_told():
    with pytest.raises(ModelUnavailable, match="makes 4 dimensions; name it with /4"):
        told_by_itself(OutOfMemory.model, 4, None)
    cut = told_by_itself(OutOfMemory.model, 16, 512)
    assert (cut.whole, cut.max_tokens_per_text) == (16, 512)
