"""Made texts: every word follows the two before it as it does in a source."""

import itertools

import numpy as np
import pytest

from tests.rescue.large.chain import END, Chain, Words

TEXTS = ["a b c d e", "a b c x y", "q b c d f", "alone"]


@pytest.fixture
def words():
    return Words.of(TEXTS)


def drawn(words, lengths, seed=1):
    return [" ".join(words.vocabulary[ids]) for ids in Chain(words).draw(np.array(lengths), seed)]


def test_three_words_in_a_row_are_those_of_a_source_unless_a_text_ended(words):
    known = {tuple(t.split()[n : n + 3]) for t in TEXTS for n in range(len(t.split()) - 2)}
    begun, ended = {text.split()[0] for text in TEXTS}, {text.split()[-1] for text in TEXTS}
    seen = set()
    for text in drawn(words, [12] * 50):
        row = text.split()
        for triple in zip(row, row[1:], row[2:], strict=False):
            seams = [a in ended and b in begun for a, b in itertools.pairwise(triple)]
            assert triple in known or any(seams), triple
            seen.add(triple)
    assert known <= seen


def test_what_follows_is_as_frequent_as_in_the_sources(words):
    """Behind "b c" there is "d" twice and "x" once."""
    rows = [text.split() for text in drawn(words, [5] * 3000)]
    behind = [row[n + 2] for row in rows for n in range(3) if row[n : n + 2] == ["b", "c"]]
    assert behind.count("d") / len(behind) == pytest.approx(2 / 3, abs=0.03)


def test_texts_have_their_lengths_no_end_and_are_the_same_each_time(words):
    lengths = [1, 7, 30]
    texts = drawn(words, lengths)
    assert [len(text.split()) for text in texts] == lengths
    assert not any(END in ids for ids in Chain(words).draw(np.array(lengths), 1))
    assert texts == drawn(words, lengths)
    assert texts != drawn(words, lengths, seed=2)


def test_single_words_do_not_make_a_chain():
    with pytest.raises(ValueError, match="two words"):
        Chain(Words.of(["alone", "single"]))
