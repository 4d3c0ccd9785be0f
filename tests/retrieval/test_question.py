import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.retrieval.question import MAX_NAME, BadRequest, Question, read_question

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def body(**values):
    return json.dumps(values).encode()


def test_the_body_comes_before_the_query_string():
    assert read_question(body(name="tea"), {"name": "x", "top_k": "7"}) == Question("tea", 7)
    assert read_question(b"", {"name": "x"}) == Question("x", 3)
    assert read_question(b'{"name": "x", "top_k": 4.0}', {}) == Question("x", 4)


@pytest.mark.parametrize(
    ("request_body", "expected"),
    [
        (b"[" * 100_000, "JSON object"),
        (b'{"name":' * 1000 + b"1" + b"}" * 1000, "JSON object"),
        (b'{"name": "\\ud800"}', "surrogate"),
        (b'{"name": "tea", "top_k": ' + b"9" * 5000 + b"}", "JSON object"),
        (b'{"name": "tea", "top_k": "' + b"9" * 5000 + b'"}', "from 1 to 50"),
        (b'{"name": "tea", "top_k": "\xc2\xb2"}', "from 1 to 50"),
        (b'{"name": "tea", "top_k": NaN}', "from 1 to 50"),
        (b'{"name": "\xff"}', "JSON object"),
        (b'{"name": "tea"', "JSON object"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_was_expected(request_body, expected):
    with pytest.raises(BadRequest, match=expected):
        read_question(request_body, {})


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_a_question_or_a_bad_request(request_body):
    try:
        question = read_question(request_body, {})
    except BadRequest as error:
        assert "expected" in str(error)
    else:
        assert 1 <= question.top_k <= 50
        assert 0 < len(question.name) <= MAX_NAME
        question.name.encode()


@given(st.text(), st.text())
def test_any_query_string_too(name, top_k):
    try:
        question = read_question(b"", {"name": name, "top_k": top_k})
    except BadRequest:
        return
    assert question.name == name
    assert question.top_k == int(top_k)
