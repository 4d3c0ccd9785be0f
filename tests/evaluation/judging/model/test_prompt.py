import json

import pytest

from ragkit.evaluation.judging.model.prompt import MAX_CHARACTERS, messages, read_answer


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("left", "left"), (" Right.\n", "right"), ('"equal"', "equal"), ("**neither**", "neither"),
        ('{"answer": "left"}', "left"), ('```json\n{"answer": "RIGHT"}\n```', "right"),
        ('{"reason": "left has fish", "answer": "right"}', "right"),
    ],
)  # fmt: skip
def test_one_word_or_an_object_with_one(said, answer):
    assert read_answer(said) == answer


@pytest.mark.parametrize(
    "said",
    ["", "left, right", "the left one", "none", "{}", '{"a": "left", "b": "right"}', "[" * 9999,
     "3", "null"],
)  # fmt: skip
def test_nothing_is_guessed(said):
    assert read_answer(said) is None


def test_long_texts_are_cut_and_order_is_kept():
    data = json.loads(messages("q", ["x" * 9999, "b"], [])[1]["content"])
    assert data == {"question": "q", "left": ["x" * MAX_CHARACTERS, "b"], "right": []}
