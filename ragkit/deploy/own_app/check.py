"""How an app is asked, and where the rows stand in its answer.

The default is the contract of ragkit's own function.
"""

import json
import os
import shlex
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from ragkit.deploy.own_app.template import EXAMPLE, fill, parse_body
from ragkit.errors import AppNotRecognised, ConfigError

ANSWER_SECONDS = 30.0
MAX_BYTES = 10_000_000
"""Of an answer."""
NAMED = 8
"""Fields of an answer that a message names."""
_REFUSED = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)


@dataclass(frozen=True)
class Answer:
    """The text as the app sent it, and the rows in it."""

    text: str
    rows: list[Any]


@dataclass(frozen=True)
class Check:
    """`body` is a template: the body of a POST, or the parameters of a
    GET. `rows` and `field` are dotted paths: to the list in the answer, and to what identifies a
    row. The variable `authorization_env` holds the header Authorization; only its name is kept.
    """

    method: str = "POST"
    path: str = "/"
    body: str = EXAMPLE
    rows: str = "results"
    field: str = ""
    authorization_env: str = ""

    def request(self, question: str) -> dict[str, Any]:
        """The arguments of a request of httpx. The question is placed inside texts that are
        parsed already, so that no question changes the JSON."""
        filled = fill(parse_body(self.method, self.body), question)
        place = "params" if self.method == "GET" else "json"
        return {"method": self.method, "url": self.path, place: filled}

    def headers(self, env: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Raises ConfigError, without the value."""
        name = self.authorization_env
        if not name:
            return {}
        value = env.get(name, "")
        if not (value and value.isascii() and value.isprintable()):
            problem = "holds what a header cannot" if value else "is not set in the environment"
            raise ConfigError(f"check.authorization_env: {name} {problem}")
        return {"Authorization": value}

    def client(self, url: str) -> httpx.Client:
        return httpx.Client(base_url=url, timeout=ANSWER_SECONDS, headers=self.headers())

    def ask(self, client: httpx.Client, question: str) -> Answer:
        """Raises AppNotRecognised, without a text of the answer."""
        where = f"{self.method} {str(client.base_url).rstrip('/')}{self.path}"
        try:
            with client.stream(**self.request(question)) as response:
                text = b"".join(_read(response, where)).decode("utf-8", "replace").strip()
        except httpx.TimeoutException:
            raise AppNotRecognised(_silent(where)) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise AppNotRecognised(
                f"the app cannot be reached ({where}): {type(error).__name__}; "
                "start it, or correct app.url"
            ) from None
        if not response.is_success:
            hint = "set check.authorization_env" if response.status_code in _REFUSED else ""
            hint = hint or "correct app.url and check.path, or see the app's log"
            raise AppNotRecognised(f"the app answered {response.status_code} ({where}): {hint}")
        try:
            return Answer(text, self.find_rows(json.loads(text)))
        except (ValueError, RecursionError):
            kind = response.headers.get("Content-Type", "").partition(";")[0][:40]
            raise AppNotRecognised(
                f"expected JSON of the app, got {kind or 'something else'} ({where}): "
                "correct app.url and check.path"
            ) from None

    def find_rows(self, body: Any) -> list[Any]:
        """The list of rows in an answer. Raises AppNotRecognised."""
        rows = _dig(body, self.rows)
        if not isinstance(rows, list):
            place = f"at {self.rows!r} of" if self.rows else "as"
            raise AppNotRecognised(
                f"expected a list {place} the app's answer, {_seen(body)}: correct check.rows"
            )
        return rows

    def identify(self, rows: list[Any]) -> list[str]:
        """What identifies each row, as a text without surplus white space. Raises
        AppNotRecognised."""
        values = [_dig(row, self.field.removeprefix(".")) for row in rows]
        for row, value in zip(rows, values, strict=True):
            if isinstance(value, bool) or not isinstance(value, str | int):
                raise AppNotRecognised(
                    f"expected a text or a number at {self.field!r} of each row of the app's "
                    f"answer, {_seen(row)}: correct check.field"
                )
        return [" ".join(str(value).split()) for value in values]

    def shell_line(self, url: str, question: str) -> str:
        """The line that a person would type; a secret stands in it as its variable."""
        address = url + (self.path if self.path != "/" else "")
        body = fill(parse_body(self.method, self.body), question)
        line = ["curl"]
        if self.method == "GET":
            pairs = [f"{name}={value}" for name, value in body.items()]
            line += ["--get", address, *(w for pair in pairs for w in ("--data-urlencode", pair))]
        else:
            line += ["-X", "POST", address, "-H", "Content-Type: application/json"]
            line += ["-d", json.dumps(body, ensure_ascii=False)]
        secret = f' -H "Authorization: ${self.authorization_env}"' if self.authorization_env else ""
        return shlex.join(line) + secret


def _dig(value: Any, path: str) -> Any:
    """What stands at a dotted path; None when nothing does. A number counts in a list."""
    for step in path.split(".") if path else []:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _seen(value: Any) -> str:
    """What was found, without a text of it but the names of fields."""
    if not isinstance(value, dict):
        return f"got {type(value).__name__}"
    names = [repr(name[:40]) for name in value][:NAMED]
    return f"got the fields {', '.join(names)}" if names else "got no field"


def _read(response: httpx.Response, where: str) -> Iterator[bytes]:
    """The body, within ANSWER_SECONDS and MAX_BYTES."""
    size, deadline = 0, time.monotonic() + ANSWER_SECONDS
    for chunk in response.iter_bytes():
        size += len(chunk)
        if size > MAX_BYTES:
            raise AppNotRecognised(f"the app answered more than {MAX_BYTES:,} bytes ({where})")
        if time.monotonic() > deadline:
            raise AppNotRecognised(_silent(where))
        yield chunk


def _silent(where: str) -> str:
    return f"the app did not answer within {ANSWER_SECONDS:g} s ({where}): see its log"
