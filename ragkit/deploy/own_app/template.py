"""A request's body as JSON with the question in one of its texts.

The question is placed inside texts that are parsed already, so that no question changes the JSON.
"""

import json
from typing import Any

QUESTION = "{question}"
"""Stands for the question."""
EXAMPLE = '{"name": "{question}"}'
"""What ragkit's own function is asked."""


def parse_body(method: str, body: str) -> Any:
    """The body as data. Raises ValueError, which says what was expected."""
    try:
        template = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError(f"expected JSON, such as {EXAMPLE}") from None
    if method == "GET" and not (
        isinstance(template, dict)
        and all(isinstance(value, str | int | float) for value in template.values())
    ):
        raise ValueError('expected a flat JSON object for a GET, such as {"q": "{question}"}')
    if fill(template, "") == template:
        raise ValueError(f"expected a text with {QUESTION} in it, such as {EXAMPLE}")
    return template


def fill(template: Any, question: str) -> Any:
    """The template with the question inside its texts; the names of fields stay as they are."""
    match template:
        case str():
            return template.replace(QUESTION, question)
        case list():
            return [fill(item, question) for item in template]
        case dict():
            return {name: fill(value, question) for name, value in template.items()}
    return template
