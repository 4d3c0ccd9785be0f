"""Bodies that cannot ask; test_check.py sends those that can."""

import pytest

from ragkit.deploy.own_app.template import parse_body


@pytest.mark.parametrize(
    ("method", "body", "message"),
    [
        ("POST", "{question}", "expected JSON, such as"),
        ("POST", '{"q": "x"}', "expected a text with {question} in it"),
        ("POST", '{"{question}": 1}', "expected a text with {question} in it"),
        ("GET", '["{question}"]', "a flat JSON object for a GET"),
        ("GET", '{"q": {"a": "{question}"}}', "a flat JSON object for a GET"),
    ],
)
def test_a_body_that_cannot_ask_is_refused(method, body, message):
    with pytest.raises(ValueError, match=message):
        parse_body(method, body)
