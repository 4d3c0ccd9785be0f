"""What a worker is given: the plan alone. Database, model and keys are those of its environment, so
that no secret travels."""

import os
import pickle
import platform
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import gettempdir

import ragkit
from ragkit.errors import EngineError, RagkitError, Stopped
from ragkit.migration.backfill.engine.unit import Done, work
from ragkit.migration.plan import Plan
from ragkit.runbook.runbook import Runbook


def versions() -> str:
    """Of what must be the same in the driver and in each worker."""
    return f"ragkit {ragkit.__version__} on Python {'.'.join(platform.python_version_tuple()[:2])}"


@dataclass(frozen=True)
class PlanUnit:
    """A Unit. `baseline` as in `work`."""

    plan: Plan
    baseline: tuple[float, ...]
    versions: str = field(default_factory=versions)

    def __call__(self) -> Done:
        """Raises EngineError when this worker is not like the driver; as `work`, with the worker's
        place in the message."""
        if versions() != self.versions:
            raise EngineError(
                f"{_here()} has {versions()}, and the driver has {self.versions}: give both the "
                "same environment"
            )
        try:
            runbook = _runbook(self.plan)
            return work(runbook.migration, runbook.new_embedder, self.baseline)
        except Stopped:
            raise
        except RagkitError as error:
            error.args = (f"{_here()}: {error}",)
            if _travels(error):
                raise
            told = str(error)
        except Exception as error:
            if _travels(error):
                raise
            name = type(error).__name__  # its text may hold a secret
            told = f"{_here()}: unexpected {name}; run this by one process to see where"
        raise EngineError(told)  # here, so that it carries nothing of what cannot travel


def _travels(error: Exception) -> bool:
    """Whether the driver can read it; with Dask, what it comes from too. A pool takes a process
    whose error it cannot read for one that has died."""
    try:
        return str(pickle.loads(pickle.dumps(error))) == str(error)
    except Exception:
        return False


_kept = threading.local()


def _runbook(plan: Plan) -> Runbook:
    """Of this thread, with the database's connections and the model of its last unit; the table is
    looked at anew."""
    kept: dict[str, Runbook] = vars(_kept).setdefault("runbooks", {})
    name = plan.model_dump_json()
    runbook = kept.setdefault(name, Runbook(plan, Path(gettempdir())))
    vars(runbook).pop("migration", None)
    return runbook


def _here() -> str:
    return f"the worker on {socket.gethostname()}, process {os.getpid()}"
