"""A model behind /chat/completions, OpenAI's or that of a service which speaks the same."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from ragkit.deadline import call_within
from ragkit.errors import ConfigError, ModelBusy, ModelUnavailable, RowRefused
from ragkit.evaluation.judging.model.prompt import messages, read_answer
from ragkit.retry import asked_to_wait

OPENAI = "openai:"
ATTEMPT_SECONDS = 60.0
SECONDS = 120.0
"""For all attempts at one question."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_REMEDIES = {
    401: "the key is missing or wrong: set OPENAI_API_KEY",
    403: "the key may not use this model",
    404: "no such model, or no such address: check judging.model and judging.model_url",
    429: "too many requests, or no credit left: wait, or raise the limit",
}
_REFUSED = (400, 413, 422)
"""Of one question: its texts are too long, or not allowed."""


@dataclass(frozen=True)
class ChatModel:
    """`name` is openai:NAME. `seconds`: for all attempts at one question, and
    `attempt_seconds` for one of them."""

    name: str
    url: str
    headers: Mapping[str, str]
    client: httpx.Client
    seconds: float = SECONDS
    attempt_seconds: float = ATTEMPT_SECONDS

    @classmethod
    def of(cls, name: str, base: str, env: Mapping[str, str] = os.environ) -> "ChatModel":
        """Raises ConfigError for an address that is none, or that would send the key in clear."""
        address, key = urlsplit(base), env.get("OPENAI_API_KEY", "").strip()
        if address.scheme not in ("http", "https") or not address.hostname or name == OPENAI:
            raise ConfigError(
                "expected openai:NAME as judging.model, and http(s)://HOST/v1 as "
                "judging.model_url, got "
                f"{name!r} and {address.scheme}://{address.hostname or ''}"
            )
        if key and address.scheme == "http" and address.hostname not in LOOPBACK:
            raise ConfigError(
                "judging.model_url is http: the key in OPENAI_API_KEY would be sent in clear; "
                "use https, or unset it"
            )
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return cls(name, f"{base.rstrip('/')}/chat/completions", headers, httpx.Client())

    def judge(self, question: str, left: Sequence[str], right: Sequence[str]) -> str | None:
        """None for an answer that cannot be read, or for a question that is refused. Raises
        ModelBusy after some attempts, else ModelUnavailable."""
        body = {
            "model": self.name.removeprefix(OPENAI),
            "messages": messages(question, left, right),
        }
        try:
            said = asked_to_wait(self.seconds)(self._attempt, body)
        except RowRefused:
            return None
        return read_answer(said) if isinstance(said, str) else None

    def _attempt(self, body: Mapping[str, Any]) -> object:
        """The text of the answer; something else when there is none."""
        try:
            answer = call_within(self.attempt_seconds, self._post, body)
        except (TimeoutError, httpx.TimeoutException):
            raise ModelBusy(f"{self.name}: no answer within {self.attempt_seconds:g} s") from None
        except httpx.HTTPError as error:
            kind = type(error).__name__
            raise ModelBusy(
                f"{self.name}: cannot be asked ({kind}); check judging.model_url"
            ) from None
        status = answer.status_code
        if status != httpx.codes.OK:
            raise self._explain(status, answer.headers.get("Retry-After", ""))
        try:
            return answer.json()["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError, RecursionError):
            return None

    def _post(self, body: Mapping[str, Any]) -> httpx.Response:
        return self.client.post(
            self.url, json=body, headers=dict(self.headers), timeout=self.attempt_seconds
        )

    def _explain(self, status: int, retry_after: str) -> Exception:
        """The service's own words are left out: they may quote a text, or part of a key."""
        message = f"{self.name}: status {status}; {_REMEDIES.get(status, 'try again later')}"
        if status in _REFUSED:
            return RowRefused(message)
        if status in (408, 429) or status >= 500:
            return ModelBusy(message, float(retry_after) if retry_after.isdecimal() else 0.0)
        return ModelUnavailable(message)
