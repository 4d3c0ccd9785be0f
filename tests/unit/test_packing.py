from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ragkit.embedders.packing import TokenEstimate, packed
from ragkit.models import find

MODEL = replace(find("text-embedding-005"), max_texts=5, max_tokens=40)


@given(st.lists(st.text(max_size=60)))
def test_requests_keep_to_both_limits_in_order_and_leave_nothing_out(texts):
    estimate = TokenEstimate()
    requests = list(packed(texts, MODEL, estimate))
    assert [place for places in requests for place in places] == list(range(len(texts)))
    for places in requests:
        assert 1 <= len(places) <= 5
        assert len(places) == 1 or sum(estimate.of(texts[place]) for place in places) <= 40


def test_one_text_a_request_where_the_model_takes_no_more():
    gemini = find("gemini-embedding-001")
    assert list(packed(["a", "b"], gemini, TokenEstimate())) == [range(0, 1), range(1, 2)]


def test_the_estimate_follows_what_the_service_counts():
    estimate, text = TokenEstimate(), "word " * 100
    first = estimate.of(text)
    estimate.learn([text], 1000)
    assert estimate.of(text) > 1000
    for _ in range(100):
        estimate.learn([text], 100)
    assert 100 < estimate.of(text) < first
