"""A folder of Cloud Storage, where the files of a job of Vertex AI are."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from google.api_core.exceptions import RetryError
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError, TransportError
from google.cloud.storage import Blob, Client
from requests import RequestException

from ragkit.deadline import call_within
from ragkit.embedding.batch.calls import CALL_SECONDS, TRANSFER_SECONDS
from ragkit.embedding.catalogue import Model
from ragkit.embedding.service.errors import GONE, KEY, explain_error, status_of
from ragkit.errors import BatchLost, ModelUnavailable

PASSING = (RequestException, RetryError, TransportError)
"""Errors of Google's clients that have no status and pass."""
P = ParamSpec("P")
T = TypeVar("T")


class Folder:
    """`model.batch_folder`. Every method raises ModelUnavailable for what a person must mend, and
    ModelBusy for what passes."""

    def __init__(self, model: Model, project: str, env: Mapping[str, str], credentials: Any):
        """`credentials`: None for VERTEX_ENDPOINT, which then serves the storage too."""
        self._model, self.uri = model, model.batch_folder.rstrip("/")
        options = {"api_endpoint": f"http://{env['VERTEX_ENDPOINT']}"} if not credentials else None
        self._client = Client(
            project=project,
            credentials=credentials or AnonymousCredentials(),
            client_options=options,
        )

    def upload(self, path: Path, name: str) -> str:
        """The address of the file that is now under `name` of this folder."""
        uri = f"{self.uri}/{name}"
        blob = Blob.from_uri(uri, self._client)
        self._call(TRANSFER_SECONDS, blob.upload_from_filename, str(path), timeout=CALL_SECONDS)
        return uri

    def files(self, uri: str) -> list[Any]:
        """The files of JSON lines below an address, in order."""
        bucket, _, prefix = uri.removeprefix("gs://").partition("/")
        found = self._call(CALL_SECONDS, self._list, bucket, f"{prefix.rstrip('/')}/")
        return [blob for blob in found if blob.name.endswith(".jsonl")]

    def download(self, blob: Any, path: Path) -> None:
        """Raises BatchLost when the file is gone."""
        try:
            self._call(TRANSFER_SECONDS, blob.download_to_filename, str(path), timeout=CALL_SECONDS)
        except _Gone:
            raise BatchLost(f"{self._model.name}: a file of a batch is gone") from None

    def _list(self, bucket: str, prefix: str) -> list[Any]:
        return list(self._client.list_blobs(bucket, prefix=prefix))

    def _call(self, seconds: float, call: Callable[P, T], *args: P.args, **kw: P.kwargs) -> T:
        try:
            return call_within(seconds, call, *args, **kw)
        except Exception as error:  # of the client, its credentials and the network
            raise self._explain(error) from None

    def _explain(self, error: Exception) -> Exception:
        status, name = status_of(error), self._model.name
        if status in GONE:
            return _Gone(f"{name}: {self.uri}: there is no such bucket: set backfill.batch_folder")
        if status in KEY:
            return ModelUnavailable(
                f"{name}: status {status}: grant roles/storage.objectUser on the bucket of "
                f"{self.uri} to the account that runs this and to the service agent of Vertex AI"
            )
        if isinstance(error, GoogleAuthError) and not isinstance(error, PASSING):
            return ModelUnavailable(
                f"{name}: the credentials do not work: run gcloud auth application-default login"
            )
        return explain_error(self._model, error, PASSING)


class _Gone(ModelUnavailable):
    """There is no such bucket or file."""
