"""Calls of a batch API by an SDK: their deadlines and errors, and files of JSON lines."""

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from ragkit.deadline import call_within
from ragkit.embedding.batch.protocol import Result
from ragkit.embedding.catalogue.model import Model
from ragkit.embedding.service.errors import GONE, REFUSED, explain_error, status_of
from ragkit.errors import BatchLost, ModelBusy, ModelUnavailable

CALL_SECONDS = 60.0
TRANSFER_SECONDS = 1800.0
"""For a file of some hundred MB."""
WRONG_KEY = "API_KEY_INVALID"
"""The Gemini API says it with the status 400."""
P = ParamSpec("P")
T = TypeVar("T")


class Calls:
    """`passing` and `key` as of explain_error."""

    def __init__(self, model: Model, passing: tuple[type[Exception], ...], key: str):
        self._model, self._passing, self._key = model, passing, key

    def submit(self, seconds: float, call: Callable[P, T], *args: P.args, **kw: P.kwargs) -> T:
        """Raises ModelBusy, or ModelUnavailable for any refusal."""
        try:
            return call_within(seconds, call, *args, **kw)
        except Exception as error:  # each SDK has its own
            name, status = self._model.name, self._status(error)
            if status in GONE:
                raise ModelUnavailable(
                    f"{name}: this server has no batch API, or not for this model: set "
                    "backfill.mode: live"
                ) from None
            if status in REFUSED:
                raise ModelUnavailable(
                    f"{name}: the batch API refuses the job, status {status}: check the account's "
                    "limits of batches, or set backfill.mode: live"
                ) from None
            raise explain_error(self._model, error, self._passing, self._key) from None

    def ask(self, seconds: float, call: Callable[P, T], *args: P.args, **kw: P.kwargs) -> T:
        """About a job or a file that was there. Raises BatchLost where it is not any more."""
        try:
            return call_within(seconds, call, *args, **kw)
        except Exception as error:
            status = self._status(error)
            if status in GONE:
                raise BatchLost(f"{self._model.name}: the provider has lost a batch") from None
            if status in REFUSED:
                raise ModelUnavailable(
                    f"{self._model.name}: status {status}: it does not say how a job is"
                ) from None
            raise explain_error(self._model, error, self._passing, self._key) from None

    def _status(self, error: Exception) -> int | None:
        if WRONG_KEY in str(getattr(error, "details", "")):
            error.code = 401  # type: ignore[attr-defined]
        return status_of(error)

    def answers(
        self, download: Callable[[Path], object], read: Callable[[dict[str, Any]], Result]
    ) -> Iterator[Result]:
        """Those in a file, which `download` writes; it is never in memory as a whole. `read` takes
        the object of a line; one that it cannot read is an answer to no text. Raises BatchLost, or
        ModelBusy for a line that broke off."""
        with tempfile.TemporaryDirectory(prefix="ragkit-") as folder:
            path = Path(folder) / "lines.jsonl"
            self.ask(TRANSFER_SECONDS, download, path)
            with path.open(encoding="utf-8") as file:
                for line in file:
                    if line.strip():
                        yield _read(self._object(line), read)

    def _object(self, line: str) -> Any:
        try:
            return json.loads(line)
        except ValueError:
            raise ModelBusy(
                f"{self._model.name}: the answers of a batch broke off: try again"
            ) from None


def _read(line: Any, read: Callable[[dict[str, Any]], Result]) -> Result:
    try:
        return read(line)
    except (AttributeError, TypeError, ValueError, LookupError):
        return Result("", None, error="an answer that cannot be read")


def write_line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"
