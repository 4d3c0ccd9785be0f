"""OpenAI's batch API: a file of requests of /v1/embeddings, done within 24 hours.

Source: OpenAI's API reference, "Create batch", and the guide "Batch API".
"""

import base64
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import openai
from openai.types import Batch

from ragkit.embedding.batch.calls import CALL_SECONDS, TRANSFER_SECONDS, Calls, write_line
from ragkit.embedding.batch.protocol import Look, Result
from ragkit.embedding.catalogue.model import Model
from ragkit.embedding.service.errors import REFUSED

LABEL = "ragkit"
"""The key of a job's metadata that holds its label."""
CLOCK_SECONDS = 3600
"""By how much the clocks of the database and of the service may differ."""
_ENDED = {"failed", "completed", "expired", "cancelled"}
_FULL = "token_limit_exceeded"


class OpenAiBatches:
    """A BatchEmbedder. `check` is called with the model that an answer names."""

    def __init__(
        self, model: Model, sdk: openai.OpenAI, key: str, check: Callable[[str | None], None]
    ):
        self.model, self._sdk, self._check = model, sdk, check
        self._calls = Calls(model, (openai.APIConnectionError,), key)

    def line(self, id: str, text: str) -> str:
        model = self.model
        body: dict[str, Any] = {"model": model.served_name, "input": model.document_prefix + text}
        body["encoding_format"] = "base64"  # a file of floats is four times as long
        if model.shortened:
            body["dimensions"] = model.dimension
        request = {"custom_id": id, "method": "POST", "url": "/v1/embeddings", "body": body}
        return write_line(request)

    def submit(self, label: str, lines: Path) -> str:
        uploaded = self._calls.submit(
            TRANSFER_SECONDS, self._sdk.files.create, file=lines, purpose="batch"
        )
        batch = self._calls.submit(
            CALL_SECONDS,
            self._sdk.batches.create,
            input_file_id=uploaded.id,
            endpoint="/v1/embeddings",
            completion_window="24h",
            metadata={LABEL: label},
        )
        return batch.id

    def find(self, label: str, since: datetime) -> str | None:
        return self._calls.ask(TRANSFER_SECONDS, self._find, label, since)

    def _find(self, label: str, since: datetime) -> str | None:
        for batch in self._sdk.batches.list(limit=100):  # the newest comes first
            if batch.created_at < since.timestamp() - CLOCK_SECONDS:
                return None
            if (batch.metadata or {}).get(LABEL) == label:
                return batch.id
        return None

    def look(self, job: str) -> Look:
        batch = self._retrieve(job)
        if batch.status not in _ENDED:
            return Look("waiting" if batch.status == "validating" else "running")
        codes = [error.code for error in (batch.errors and batch.errors.data) or [] if error.code]
        is_whole = batch.status == "completed"
        reason = "" if is_whole else ": ".join([batch.status, *codes[:1]])
        return Look("ended", reason, is_full=_FULL in codes)

    def collect(self, job: str) -> Iterator[Result]:
        batch = self._retrieve(job)
        for file in filter(None, (batch.output_file_id, batch.error_file_id)):
            yield from self._calls.answers(partial(self._download, file), self._read)

    def _retrieve(self, job: str) -> Batch:
        return self._calls.ask(CALL_SECONDS, self._sdk.batches.retrieve, job)

    def _download(self, file: str, path: Path) -> None:
        with self._sdk.files.with_streaming_response.content(file) as response:
            response.stream_to_file(path)

    def _read(self, line: dict[str, Any]) -> Result:
        id, response = str(line.get("custom_id")), line.get("response") or {}
        body, status = response.get("body") or {}, response.get("status_code")
        if status == 200 and body.get("data"):
            self._check(body.get("model"))
            tokens = (body.get("usage") or {}).get("total_tokens")
            return Result(id, _vector(body["data"][0].get("embedding")), tokens)
        code = (line.get("error") or {}).get("code") or f"status {status}"
        return Result(id, None, error=str(code)[:80], is_refused=status in REFUSED)


def _vector(embedding: str | Sequence[float] | None) -> Sequence[float] | None:
    """Some servers answer floats, whatever they are asked for. Raises ValueError."""
    if isinstance(embedding, str):
        data = base64.b64decode(embedding, validate=True)
        return np.frombuffer(data, "<f4").tolist() or None
    return embedding or None
