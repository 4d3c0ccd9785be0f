"""Vertex AI's batchPredictionJobs over gRPC with their files in Cloud Storage, and its live API, on
one port. Requests: "upload", "create" (before the job is there), "created" (after it, before the
answer), "list", "look", "download"."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from google.cloud.aiplatform_v1.types import (
    BatchPredictionJob,
    CreateBatchPredictionJobRequest,
    GetBatchPredictionJobRequest,
    JobState,
    ListBatchPredictionJobsRequest,
    ListBatchPredictionJobsResponse,
)

from tests.stand_ins import vertex
from tests.stand_ins.batches.jobs import Batches, Job, Line
from tests.stand_ins.batches.storage import Storage
from tests.stand_ins.embeddings.service import KEY, Asked

SERVICE = "google.cloud.aiplatform.v1.JobService"
BUCKET = "acme-rag"
FOLDER = f"gs://{BUCKET}/ragkit"
PAGE = 2
"""Jobs of a page, however many are asked for."""


class Live(vertex.Vertex):
    """`asked`: each request that was answered. `storage`: that of the batches."""

    storage: Storage

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Asked] = []

    def answer(self, endpoint: str, instances: list[dict], parameters: dict) -> list[dict]:
        answers = super().answer(endpoint, instances, parameters)
        texts = [instance["content"] for instance in instances]
        self.asked.append(Asked(endpoint.rpartition("/")[2], texts))
        return answers


class Jobs:
    """The service. It knows the project KEY alone."""

    def __init__(self, live: Live, batches: Batches):
        self._live, self._batches = live, batches
        self._models: dict[str, str] = {}
        self._places: dict[str, str] = {}
        self._written: dict[str, str] = {}

    def handler(self) -> grpc.GenericRpcHandler:
        methods = {
            "CreateBatchPredictionJob": (
                self.create, CreateBatchPredictionJobRequest, BatchPredictionJob
            ),
            "GetBatchPredictionJob": (self.get, GetBatchPredictionJobRequest, BatchPredictionJob),
            "ListBatchPredictionJobs": (
                self.list, ListBatchPredictionJobsRequest, ListBatchPredictionJobsResponse
            ),
        }  # fmt: skip
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                name: grpc.unary_unary_rpc_method_handler(
                    method, asked.deserialize, answered.serialize
                )
                for name, (method, asked, answered) in methods.items()
            },
        )

    def create(self, request: Any, context: grpc.ServicerContext) -> BatchPredictionJob:
        self._require(request.parent, context)
        self._batches.on("create")
        asked = request.batch_prediction_job
        (source,) = asked.input_config.gcs_source.uris
        self._batches.files[source] = self._live.storage.files[source]
        job = self._batches.create(asked.display_name, source)
        self._models[job.id] = asked.model.rpartition("/")[2]
        place = asked.output_config.gcs_destination.output_uri_prefix
        self._places[job.id] = f"{place}/prediction-{job.id}"
        self._batches.on("created")
        return self._shown(job, JobState.JOB_STATE_PENDING)

    def get(self, request: Any, context: grpc.ServicerContext) -> BatchPredictionJob:
        self._require(request.name, context)
        self._batches.on("look")
        if (found := self._batches.find(request.name.rpartition("/")[2])) is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such job")
        if not self._batches.has_ended(found):
            return self._shown(found, JobState.JOB_STATE_RUNNING)
        ended = {"": "SUCCEEDED", "full": "FAILED"}.get(found.ended_as, found.ended_as.upper())
        self._write(found)
        return self._shown(found, JobState[f"JOB_STATE_{ended}"])

    def list(self, request: Any, context: grpc.ServicerContext) -> ListBatchPredictionJobsResponse:
        self._require(request.parent, context)
        self._batches.on("list")
        known = [
            job for job in self._batches.jobs
            if job.fault != "lost" and request.filter == f'display_name="{job.label}"'
        ]  # fmt: skip
        start = int(request.page_token or 0)
        shown = [self._shown(j, JobState.JOB_STATE_RUNNING) for j in known[start : start + PAGE]]
        more = str(start + PAGE) if len(known) > start + PAGE else ""
        return ListBatchPredictionJobsResponse(batch_prediction_jobs=shown, next_page_token=more)

    def _require(self, name: str, context: grpc.ServicerContext) -> None:
        if not name.startswith(f"projects/{KEY}/"):
            context.abort(grpc.StatusCode.PERMISSION_DENIED, f"refused {name}")

    def _shown(self, job: Job, state: JobState) -> BatchPredictionJob:
        shown: dict[str, Any] = {
            "name": f"projects/{KEY}/locations/us-central1/batchPredictionJobs/{job.id}",
            "display_name": job.label, "state": state,
        }  # fmt: skip
        if job.fault in ("failed", "full") and state == JobState.JOB_STATE_FAILED:
            shown["error"] = {"code": 8 if job.fault == "full" else 13, "message": "no"}
        elif state not in (JobState.JOB_STATE_PENDING, JobState.JOB_STATE_RUNNING):
            shown["output_info"] = {"gcs_output_directory": self._places[job.id]}
        return BatchPredictionJob(shown)

    def _write(self, job: Job) -> None:
        """Two files, not in order, and one that is not of answers."""
        place, files = self._places[job.id], self._live.storage.files
        if job.fault == "lost file" or self._written.get(job.id) == job.fault:
            return
        self._written[job.id] = job.fault
        model = self._models[job.id]
        lines = [
            _line(self._live, model, line, fault) for line, fault in self._batches.answered(job)
        ]
        half = len(lines) // 2
        for number, part in enumerate((lines[half:], lines[:half])):
            uri = f"{place}/00000000000{number}.jsonl"
            files[uri] = "".join(json.dumps(line) + "\n" for line in part).encode()
            if job.fault == "broken":
                self._live.storage.broken = {uri}
        files[f"{place}/errors_stats"] = b"no JSON"


def _line(live: Live, model: str, line: Line, fault: str) -> dict[str, Any]:
    if fault in ("error", "refused"):
        code = 400 if fault == "refused" else 500
        named = {"key": line["key"]} if "key" in line else {"instance": line, "predictions": []}
        return {**named, "status": f'Error: {{"error": {{"code": {code}}}}}'}
    text = text_of(line)
    values = live.recorded.get((model, text))
    values = values or vertex.made(model, text, vertex.DIMENSIONS.get(model, 768))
    if fault == "shape":
        values = [*values, 0.0]
    elif fault == "nan":
        values = [float("nan")] * len(values)
    count = vertex.count_tokens(text)
    if "key" in line:
        embedding = {"values": values}
        response = {"embedding": embedding, "usageMetadata": {"promptTokenCount": count}}
        return {"key": line["key"], "status": "", "response": response}
    is_cut = count > vertex.MAX_TOKENS_PER_TEXT
    statistics = {"token_count": count, "truncated": is_cut}
    predictions = [{"embeddings": {"statistics": statistics, "values": values}}]
    return {"instance": line, "predictions": predictions, "status": ""}


def text_of(line: Line) -> str:
    return line["request"]["content"]["parts"][0]["text"] if "key" in line else line["content"]


def texts_of(job: Job) -> list[str]:
    return [text_of(line) for line in job.lines]


@contextmanager
def serving() -> Iterator[tuple[Live, Batches]]:
    """Yields the live service and the batches."""
    live, batches = Live(), Batches()
    live.storage = Storage(BUCKET, lambda name: batches.on(name))  # noqa: PLW0108 (it changes)
    services = [Jobs(live, batches).handler()]
    with vertex.serving(vertex=live, also=live.storage.answer, services=services):
        yield live, batches
