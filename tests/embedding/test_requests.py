from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ragkit.embedding.catalogue import find_model
from ragkit.embedding.requests import TokenEstimator, pack_requests

MODEL = replace(find_model("text-embedding-005"), max_texts=5, max_tokens=40)


@given(st.lists(st.text(max_size=60)))
def test_requests_hold_every_text_in_order_within_both_limits(texts):
    estimator = TokenEstimator()
    requests = list(pack_requests(texts, MODEL, estimator))
    assert [position for request in requests for position in request] == list(range(len(texts)))
    for request in requests:
        tokens = sum(estimator.estimate(texts[position]) for position in request)
        assert 1 <= len(request) <= 5
        assert len(request) == 1 or tokens <= 40


def test_gemini_gets_one_text_per_request():
    gemini = find_model("gemini-embedding-001")
    assert list(pack_requests(["a", "b"], gemini, TokenEstimator())) == [range(0, 1), range(1, 2)]


def test_the_estimate_follows_the_counts_of_the_service():
    estimator, text = TokenEstimator(), "word " * 100
    first = estimator.estimate(text)
    estimator.learn([text], 1000)
    assert estimator.estimate(text) > 1000
    for _ in range(100):
        estimator.learn([text], 100)
    assert 100 < estimator.estimate(text) < first
