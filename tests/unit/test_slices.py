import numpy as np
import pytest

from ragkit.comparison.slices import FEWEST, of_traits
from tests.evidence import asked, judged

N = 60
ROWS = {f"q{n}": ["x", str(n)] if n % 2 else [str(n), "x"] for n in range(N)}
FOUND = asked(judged(N), {q: ["x", q[1:]] for q in ROWS}, ROWS)


def test_a_slice_has_the_mean_of_its_questions():
    even, odd = of_traits(
        FOUND, {"parity": {q: "odd" if int(q[1:]) % 2 else "even" for q in ROWS}}, 1
    )
    assert (even.kind, even.name, even.n, odd.n) == ("parity", "even", 30, 30)
    gain = 1 - 1 / np.log2(3)
    assert even.change.mean == pytest.approx(gain)
    assert odd.change.mean == 0
    assert even.metric == "nDCG@10"


def test_small_slices_stand_together_and_one_alone_is_none():
    names = {q: f"small {int(q[1:]) // 5}" if int(q[1:]) < 20 else "large" for q in ROWS}
    found = of_traits(FOUND, {"size": names}, 1)
    assert [(each.name, each.n) for each in found] == [("large", 40), ("other", 20)]
    assert of_traits(FOUND, {"same": dict.fromkeys(ROWS, "all")}, 1) == []
    few = {q: "few" if int(q[1:]) < FEWEST - 1 else "large" for q in ROWS}
    assert [each.name for each in of_traits(FOUND, {"few": few}, 1)] == ["large"]


def test_more_slices_make_wider_intervals():
    halves = {q: str(int(q[1:]) < N / 2) for q in ROWS}
    kinds = {"a": halves, **{f"b{i}": halves for i in range(9)}}
    alone, among = of_traits(FOUND, {"a": halves}, 1)[0], of_traits(FOUND, kinds, 1)[0]
    assert among.change.high - among.change.low > alone.change.high - alone.change.low


def test_questions_without_a_trait_or_a_judgement_are_left_out():
    names = {q: "a" if int(q[1:]) < 30 else "b" for q in list(ROWS)[:50]} | {"unjudged": "a"}
    assert [each.n for each in of_traits(FOUND, {"x": names}, 1)] == [30, 20]
