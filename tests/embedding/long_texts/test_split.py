import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ragkit.embedding.long_texts.split import (
    SIZES_OF_UNKNOWN,
    ByteLimit,
    TokenLimit,
    after_white_space,
    limits_of,
    split_text,
)
from tests.conftest import OLD, embedder_of

MINILM = "all-minilm-l6-v2"
WORDS = st.sampled_from(
    ["a", "the", "aerodynamics", "unbelievably", "각각", "翼型", "naïve", "x" * 120, "🛫", "\u0301"]
)
TEXTS = st.lists(st.one_of(WORDS, st.text(max_size=8)), max_size=60).flatmap(
    lambda words: st.sampled_from(["", " ", "\n\n"]).map(lambda space: space.join(words))
)


@given(TEXTS, st.integers(5, 20))
@example("각" * 40, 5)  # one character, up to three tokens
@example("unbelievably" * 20, 6)
@example("x" * 120 + "unbelievably" * 9, 6)  # a word of more than 100 characters is one token
@example(" " * 300 + "a wing " * 9 + " " * 300, 6)
def test_pieces_by_tokens_are_the_text_and_within_the_limit(text, tokens):
    counter = embedder_of(MINILM)
    pieces = split_text(text, TokenLimit(tokens, counter))
    assert "".join(pieces) == text
    assert all(len(counter.token_spans(piece)) <= tokens for piece in pieces)
    assert len(pieces) == 1 or all(pieces)


@given(TEXTS, st.integers(4, 64))
def test_pieces_by_bytes_are_the_text_and_within_the_limit(text, size):
    pieces = split_text(text, ByteLimit(size))
    assert "".join(pieces) == text
    assert all(len(piece.encode()) <= size for piece in pieces)


def test_words_stay_whole_where_they_can():
    text = "The boundary layer of a thin aerofoil separates. " * 20
    for limit in (TokenLimit(30, embedder_of(MINILM)), ByteLimit(200)):
        pieces = split_text(text, limit)
        assert len(pieces) > 4
        assert all(piece.endswith(" ") for piece in pieces)
    assert after_white_space("ab cdef", 0, 6) == 6  # the first half is no place to cut


def test_a_very_long_text_is_not_tokenized_again_for_each_piece():
    counter, sizes = embedder_of(MINILM), []

    class Recording:
        special_tokens = 2

        def token_spans(self, text):
            sizes.append(len(text))
            return counter.token_spans(text)

    text = "a wing in a slipstream " * 5000
    assert "".join(split_text(text, TokenLimit(254, Recording()))) == text
    assert sum(sizes) < 10 * len(text)


@pytest.mark.parametrize("model", [MINILM, OLD])
def test_a_text_that_fits_is_not_split(model):
    first, *_ = limits_of(embedder_of(model))
    assert split_text("short", first) == ["short"]
    assert split_text("", first) == [""]


def test_limits_are_the_models_own_where_its_tokenizer_runs_here(vertex, monkeypatch):
    (limit,) = limits_of(embedder_of(MINILM))
    assert limit.tokens == 254  # two special tokens count too
    monkeypatch.setenv("VERTEX_ENDPOINT", vertex.address)
    monkeypatch.setenv("GCP_PROJECT_ID", "p")
    remote = limits_of(embedder_of("text-embedding-005"))
    assert [limit.size for limit in remote] == [8192, 4096, 2048]
    assert [limit.size for limit in limits_of(embedder_of(OLD))] == list(SIZES_OF_UNKNOWN)
