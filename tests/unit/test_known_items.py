from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ragkit.comparison.known_items import QUESTIONS, WORDS, make
from ragkit.comparison.traits import words

vocabulary = st.sampled_from(["tea", "map", "wool", "boot", "train", "lamp", "spoon"])
texts = st.dictionaries(
    st.text("0123456789", min_size=1, max_size=3), st.lists(vocabulary, max_size=12).map(" ".join)
)


@given(texts)
def test_a_question_is_a_few_words_of_its_row_in_their_order(rows):
    made = make(rows, seed=1)
    assert set(made) == {row for row, text in rows.items() if len(set(words(text))) >= WORDS[0]}
    for row, question in made.items():
        asked = words(question)
        assert WORDS[0] <= len(asked) <= WORDS[1]
        first = list(dict.fromkeys(words(rows[row])))
        assert asked == [word for word in first if word in asked]


def test_telling_words_are_drawn_more_often():
    rows = {str(n): f"the airport has a shop and kiosk{n} here now" for n in range(400)}
    made = make(rows, seed=1)
    assert len(made) == QUESTIONS
    drawn = Counter(
        "telling" if word.startswith("kiosk") else word for q in made.values() for word in words(q)
    )
    assert drawn["telling"] > 2 * drawn["the"]


def test_the_same_seed_makes_the_same_questions():
    rows = {str(n): f"a shop with tea and lamp {n}" for n in range(50)}
    assert make(rows, 3) == make(rows, 3) != make(rows, 4)
