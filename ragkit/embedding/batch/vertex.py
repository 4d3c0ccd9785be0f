"""Vertex AI's batch prediction: a file of texts in Cloud Storage in, files of vectors there out.

Reference: Vertex AI, "projects.locations.batchPredictionJobs".
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from google.api_core.client_options import ClientOptions
from google.cloud.aiplatform_v1.services.job_service import JobServiceClient
from google.cloud.aiplatform_v1.services.job_service.transports.grpc import JobServiceGrpcTransport
from google.cloud.aiplatform_v1.types import BatchPredictionJob, JobState

from ragkit.embedding.batch.calls import CALL_SECONDS, Calls
from ragkit.embedding.batch.folder import PASSING, Folder
from ragkit.embedding.batch.protocol import Look, Result
from ragkit.embedding.batch.vertex_lines import read_answer, write_request
from ragkit.embedding.catalogue import Model
from ragkit.embedding.vertex_ai.service import project_and_location, service_host
from ragkit.errors import BatchLost

_WAITING = {
    JobState.JOB_STATE_UNSPECIFIED, JobState.JOB_STATE_QUEUED, JobState.JOB_STATE_PENDING,
}  # fmt: skip
_WHOLE = JobState.JOB_STATE_SUCCEEDED
_ENDED = {
    _WHOLE, JobState.JOB_STATE_FAILED, JobState.JOB_STATE_CANCELLED, JobState.JOB_STATE_EXPIRED,
    JobState.JOB_STATE_PARTIALLY_SUCCEEDED,
}  # fmt: skip
_CODES: dict[int, str] = {code.value[0]: code.name for code in grpc.StatusCode if code.value[0]}
"""google.rpc.Code, without OK."""
_ROLE = "roles/aiplatform.user and GCP_PROJECT_ID"


class VertexBatches:
    """A BatchEmbedder. Settings as of VertexEmbedder, and `model.batch_folder`."""

    def __init__(self, model: Model, env: Mapping[str, str], credentials: Any):
        """Raises ConfigError without a project."""
        self.model = model
        project, location = project_and_location(model, env)
        self._parent = f"projects/{project}/locations/{location}"
        self._jobs = _make_client(env, credentials)
        self._folder = Folder(model, project, env, credentials)
        self._calls = Calls(model, PASSING, _ROLE)

    def line(self, id: str, text: str) -> str:
        return write_request(self.model, id, text)

    def submit(self, label: str, lines: Path) -> str:
        job = BatchPredictionJob(
            display_name=label,
            model=f"publishers/google/models/{self.model.served_name}",
            input_config={
                "instances_format": "jsonl",
                "gcs_source": {"uris": [self._folder.upload(lines, f"{label}/texts.jsonl")]},
            },
            output_config={
                "predictions_format": "jsonl",
                "gcs_destination": {"output_uri_prefix": f"{self._folder.uri}/{label}/answers"},
            },
        )
        made = self._calls.submit(
            CALL_SECONDS,
            self._jobs.create_batch_prediction_job,
            parent=self._parent,
            batch_prediction_job=job,
            timeout=CALL_SECONDS,
        )
        return str(made.name)

    def find(self, label: str, since: datetime) -> str | None:
        return self._calls.ask(CALL_SECONDS, self._find, label)

    def _find(self, label: str) -> str | None:
        request = {"parent": self._parent, "filter": f'display_name="{label}"'}
        jobs = self._jobs.list_batch_prediction_jobs(request, timeout=CALL_SECONDS)
        return next((str(job.name) for job in jobs if job.display_name == label), None)

    def look(self, job: str) -> Look:
        found = self._retrieve(job)
        if found.state not in _ENDED:
            return Look("waiting" if found.state in _WAITING else "running")
        reason = found.state.name.removeprefix("JOB_STATE_").lower()
        if found.error.code in _CODES:
            reason += f": {_CODES[found.error.code]}"
        is_full = found.error.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
        return Look("ended", "" if found.state == _WHOLE else reason, is_full)

    def collect(self, job: str) -> Iterator[Result]:
        found = self._retrieve(job)
        if not (place := found.output_info.gcs_output_directory):
            return
        files = self._folder.files(place)
        if not files and found.state == _WHOLE:
            raise BatchLost(f"{self.model.name}: the answers of a batch are not in {place}")
        for file in files:
            download = partial(self._folder.download, file)
            yield from self._calls.answers(download, partial(read_answer, self.model))

    def _retrieve(self, job: str) -> BatchPredictionJob:
        return self._calls.ask(
            CALL_SECONDS, self._jobs.get_batch_prediction_job, name=job, timeout=CALL_SECONDS
        )


def _make_client(env: Mapping[str, str], credentials: Any) -> JobServiceClient:
    if endpoint := env.get("VERTEX_ENDPOINT"):
        channel = grpc.insecure_channel(endpoint)
        return JobServiceClient(transport=JobServiceGrpcTransport(channel=channel))
    options = ClientOptions(api_endpoint=service_host(env))
    return JobServiceClient(credentials=credentials, client_options=options)
