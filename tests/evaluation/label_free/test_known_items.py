from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ragkit.evaluation.facets import words
from ragkit.evaluation.label_free.known_items import (
    MAX_KNOWN_ITEMS,
    MAX_WORDS,
    MIN_WORDS,
    draw_questions,
)

vocabulary = st.sampled_from(["tea", "map", "wool", "boot", "train", "lamp", "spoon"])
texts = st.dictionaries(
    st.text("0123456789", min_size=1, max_size=3), st.lists(vocabulary, max_size=12).map(" ".join)
)


@given(texts)
def test_a_question_is_a_few_words_of_its_row_in_their_order(rows):
    questions = draw_questions(rows, seed=1)
    assert set(questions) == {
        row for row, text in rows.items() if len(set(words(text))) >= MIN_WORDS
    }
    for row, question in questions.items():
        question_words = words(question)
        assert MIN_WORDS <= len(question_words) <= MAX_WORDS
        distinct_words = list(dict.fromkeys(words(rows[row])))
        assert question_words == [word for word in distinct_words if word in question_words]


def test_distinctive_words_are_drawn_more_often():
    rows = {str(n): f"the airport has a shop and kiosk{n} here now" for n in range(400)}
    questions = draw_questions(rows, seed=1)
    assert len(questions) == MAX_KNOWN_ITEMS
    counts = Counter(
        "distinctive" if word.startswith("kiosk") else word
        for question in questions.values()
        for word in words(question)
    )
    assert counts["distinctive"] > 2 * counts["the"]


def test_the_same_seed_makes_the_same_questions():
    rows = {str(n): f"a shop with tea and lamp {n}" for n in range(50)}
    assert draw_questions(rows, 3) == draw_questions(rows, 3) != draw_questions(rows, 4)
