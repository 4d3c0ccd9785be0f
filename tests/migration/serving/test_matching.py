"""How lists are compared; which model a set of answers speaks for."""

import pytest

from ragkit.errors import AppNotRecognised
from ragkit.migration.serving.matching import decide, likeness

MODELS = ("old", "new")


def expected(old="abc", new="xyz"):
    return {"old": list(old), "new": list(new)}


@pytest.mark.parametrize(
    ("ours", "theirs", "share"),
    [
        ("abc", "abc", 1.0),
        ("abc", "xyz", 0.0),
        ("", "", 1.0),
        ("ab", "ba", 0.5),
        ("aab", "abb", (1 + 1 / 2 + 2 / 3) / 3),
        ("a", "ab", 0.75),
    ],
)
def test_likeness_is_the_mean_share_over_every_depth(ours, theirs, share):
    assert likeness(ours, theirs) == pytest.approx(share)


def test_the_model_whose_rows_they_are_serves():
    assert decide([("abc", expected()), ("ab", expected())], MODELS) == "old"
    assert decide([("xyz", expected()), ("zyx", expected())], MODELS) == "new"


def test_an_app_may_order_its_rows_in_a_way_of_its_own():
    assert decide([("cba", expected())], MODELS) == "old"


def test_where_both_find_the_same_rows_their_order_tells():
    assert decide([("abc", expected("abc", "cba"))], MODELS) == "old"


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([("pqr", expected())], "hold 0% of old's rows, 0% of new's rows: no model's"),
        (
            [("abc", expected())] * 7 + [("xyz", expected())],
            "1 of the answers are new's; not",
        ),
        ([("abc", expected("abc", "acb"))], "too alike to tell the model"),
        ([("abx", {"new": list("xyz")})], "hold 33% of new's rows: no model's"),
    ],
)
def test_what_is_not_clear_is_no_model(answers, message):
    with pytest.raises(AppNotRecognised, match=message):
        decide(answers, MODELS)


def test_a_model_whose_column_is_the_only_one_is_met_as_well():
    assert decide([("xzy", {"new": list("xyz")})], MODELS) == "new"
