"""A question to the app, read from the body or the query string of a request."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_BODY_BYTES = 64 * 1024
MAX_NAME = 2000
"""Characters of a question; longer ones are refused, never cut."""
TOP_K, MAX_TOP_K = 3, 50


class BadRequest(ValueError):
    """The message says what was expected."""


@dataclass(frozen=True)
class Question:
    """The text, and how many rows are asked for."""

    name: str
    top_k: int


def read_question(body: bytes, arguments: Mapping[str, str]) -> Question:
    """From a JSON object with `name` and `top_k`, else from `arguments`. Raises BadRequest."""
    values = {**arguments, **(_parse_object(body) if body else {})}
    return Question(_text(values.get("name")), _whole_number(values.get("top_k", TOP_K)))


def _parse_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):  # also of a number with thousands of digits
        value = None
    if not isinstance(value, dict):
        raise BadRequest('expected a JSON object such as {"name": "restaurants"}')
    return value


def _text(name: object) -> str:
    if not isinstance(name, str) or not name.strip():
        raise BadRequest('expected "name", a text that is not empty, as in {"name": "restaurants"}')
    if len(name) > MAX_NAME:
        raise BadRequest(f'expected "name" of at most {MAX_NAME} characters, got {len(name)}')
    try:
        name.encode()
    except UnicodeEncodeError:
        raise BadRequest('expected "name" in Unicode, got half of a surrogate pair') from None
    return name


def _whole_number(top_k: object) -> int:
    if isinstance(top_k, str) and top_k.isascii() and top_k.isdigit() and len(top_k) <= 4:
        top_k = int(top_k)
    if isinstance(top_k, float) and top_k.is_integer():  # in JSON, 3.0 is a whole number
        top_k = int(top_k)
    if not isinstance(top_k, int) or isinstance(top_k, bool) or not 1 <= top_k <= MAX_TOP_K:
        raise BadRequest(f'expected "top_k", a whole number from 1 to {MAX_TOP_K}')
    return top_k
