"""The Gemini API's batches of embeddings: a file of requests, done within 24 hours.

Source: Gemini API, "Batch API", and google-genai's `batches.create_embeddings`, which its makers
call experimental. Vertex AI has none of it.
"""

import warnings
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from google import genai
from google.genai import types

from ragkit.embedding.batch.calls import CALL_SECONDS, TRANSFER_SECONDS, Calls, write_line
from ragkit.embedding.batch.protocol import Look, Result
from ragkit.embedding.catalogue.model import Model

_STATES = types.JobState
_WAITING = {_STATES.JOB_STATE_QUEUED, _STATES.JOB_STATE_PENDING, _STATES.JOB_STATE_UNSPECIFIED}
_WHOLE = _STATES.JOB_STATE_SUCCEEDED
_ENDED = {
    _WHOLE, _STATES.JOB_STATE_FAILED, _STATES.JOB_STATE_CANCELLED, _STATES.JOB_STATE_EXPIRED,
    _STATES.JOB_STATE_PARTIALLY_SUCCEEDED,
}  # fmt: skip
_INVALID_ARGUMENT = 3
"""A code of google.rpc.Status."""


class GenAiBatches:
    """A BatchEmbedder."""

    def __init__(self, model: Model, sdk: genai.Client, key: str):
        self.model, self._sdk = model, sdk
        self._calls = Calls(model, (httpx.TransportError,), key)

    def line(self, id: str, text: str) -> str:
        model = self.model
        request: dict[str, Any] = {
            "model": f"models/{model.served_name}",
            "content": {"parts": [{"text": model.document_prefix + text}]},
        }
        if model.document_task:
            request["taskType"] = model.document_task
        if model.shortened:
            request["outputDimensionality"] = model.dimension
        return write_line({"key": id, "request": request})

    def submit(self, label: str, lines: Path) -> str:
        config = types.UploadFileConfig(display_name=label, mime_type="application/jsonl")
        uploaded = self._calls.submit(
            TRANSFER_SECONDS, self._sdk.files.upload, file=lines, config=config
        )
        job = self._calls.submit(CALL_SECONDS, self._create, label, uploaded.name)
        return str(job.name)

    def _create(self, label: str, file: str | None) -> types.BatchJob:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is experimental
            return self._sdk.batches.create_embeddings(
                model=self.model.served_name,
                src=types.EmbeddingsBatchJobSource(file_name=file),
                config=types.CreateEmbeddingsBatchJobConfig(display_name=label),
            )

    def find(self, label: str, since: datetime) -> str | None:
        return self._calls.ask(TRANSFER_SECONDS, self._find, label)

    def _find(self, label: str) -> str | None:
        jobs = self._sdk.batches.list(config=types.ListBatchJobsConfig(page_size=100))
        return next((job.name for job in jobs if job.display_name == label), None)

    def look(self, job: str) -> Look:
        found = self._retrieve(job)
        if found.state not in _ENDED:
            return Look("waiting" if found.state in _WAITING else "running")
        name = found.state.name.removeprefix("JOB_STATE_").lower()
        return Look("ended", "" if found.state == _WHOLE else name)

    def collect(self, job: str) -> Iterator[Result]:
        found = self._retrieve(job)
        if found.dest and (file := found.dest.file_name):
            yield from self._calls.answers(partial(self._download, file), _read)

    def _retrieve(self, job: str) -> types.BatchJob:
        return self._calls.ask(CALL_SECONDS, self._sdk.batches.get, name=job)

    def _download(self, file: str, path: Path) -> None:
        self._sdk.files.download(file=file, destination=path)


def _read(line: dict[str, Any]) -> Result:
    id, response = str(line.get("key")), line.get("response") or {}
    if values := (response.get("embedding") or {}).get("values"):
        tokens = response.get("tokenCount", (response.get("usageMetadata") or {}).get(
            "promptTokenCount"
        ))  # fmt: skip
        return Result(id, values, int(tokens) if tokens is not None else None)
    code = (line.get("error") or {}).get("code")
    return Result(id, None, error=f"code {code}", is_refused=code == _INVALID_ARGUMENT)
