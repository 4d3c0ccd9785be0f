"""Every error that ragkit raises on purpose: what was expected, what was found, what to do.

RagkitError
├── ConfigError          a setting is missing or wrong
│   ├── UnknownModel
│   └── PlanError        all faults of a plan
├── DatabaseError
│   ├── BrokenConstraint a row breaks a CHECK or NOT NULL of its table
│   ├── DatabaseUnavailable
│   ├── LostRace         a statement gave way to another transaction; it may work again
│   └── SchemaError      a table, column, key, extension or privilege is not as required
├── ModelError
│   ├── ModelUnavailable affects every row: key, permission, quota, retired model
│   │   ├── ModelBusy    passes: too many requests, a server's fault, no answer in time
│   │   └── BudgetExceeded
│   ├── BatchLost        the provider does not know the batch any more
│   ├── BadVectors       wrong count or values
│   │   └── WrongDimension
│   └── RowRefused       affects one row
│       ├── TextTooLong
│       └── PartialRefusal  some rows of a request; the others have vectors
├── ContractError
│   ├── SpaceNotReady
│   ├── RescueRefused    a rescued search would find too little
│   ├── SpaceMismatch
│   └── DamagedContract  was changed by hand, or made by another version
├── EngineError          the workers of a backfill cannot do the work
│   └── EngineAway       cannot be reached, or has no worker; this may pass
├── PhaseError           a step does not fit the phase, or another operator's step is running
├── Stopped              by `ragkit control stop`
├── DriftError           a reviewed plan no longer fits the table, the contract or the code
├── GateError            NO-GO or INCONCLUSIVE: nothing was switched
├── DeployError          a revision did not start; the previous one still serves
│   └── AppNotRecognised the app does not answer as expected, or its answers tell no model
└── SandboxError         the embedded default cannot run here
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


class RagkitError(Exception):
    """The root of ragkit's errors. They may be pickled: a worker's reach the process that waits for
    it."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _restore, (type(self), self.args, vars(self))

    def _render_traceback_(self) -> list[str]:
        """One line in JupyterLab, in papermill's output and in the HTML report (IPython hook)."""
        return [f"{type(self).__name__}: {self}"]


class ConfigError(RagkitError):
    """A setting is missing or wrong."""


class UnknownModel(ConfigError):
    """The message lists the known models."""

    def __init__(self, name: str, known: Sequence[str]):
        super().__init__(
            f"unknown model {name!r}; expected one of {', '.join(known)}, "
            "or PROVIDER:NAME/DIMENSION, such as openai:nomic-embed-text/768, "
            "or module:attribute of a LangChain Embeddings object; an old model that nobody can "
            "call needs only NAME/DIMENSION, such as unknown/1536"
        )


class PlanError(ConfigError):
    """`faults`: one line for each."""

    def __init__(self, faults: Sequence[str]):
        self.faults = list(faults)
        super().__init__(f"{len(faults)} fault(s) in the parameters: " + "; ".join(faults))


class DatabaseError(RagkitError):
    """The database refused a statement."""


class DatabaseUnavailable(DatabaseError):
    """The database cannot be reached now; a later attempt may work."""


class LostRace(DatabaseError):
    """A statement gave way to another transaction: a lock was not free in time, a deadlock, a
    serialisation failure. It may be tried again."""


class BrokenConstraint(DatabaseError):
    """A row breaks a CHECK or a NOT NULL of its table, as a row may whose constraint is NOT VALID:
    no UPDATE of it works."""


class SchemaError(DatabaseError):
    """A table, column, key, extension or privilege is not as required. `faults`: one text for each,
    with the way out."""

    def __init__(self, message: str, faults: Sequence[str] = ()):
        self.faults = list(faults) or [message]
        super().__init__(message)


class ModelError(RagkitError):
    """The model did not embed what it was given."""


class ModelUnavailable(ModelError):
    """Affects every row: key, permission, quota, retired model. The run stops."""


class ModelBusy(ModelUnavailable):
    """Passes: too many requests, a server's fault, no answer in time. `wait_seconds`: what the
    service asks for."""

    def __init__(self, message: str, wait_seconds: float = 0.0):
        self.wait_seconds = wait_seconds
        super().__init__(message)


class BudgetExceeded(ModelUnavailable):
    """The next request would cost more than the plan's budget leaves."""


class BatchLost(ModelError):
    """The provider does not know a batch, or what it answered, any more."""


class BadVectors(ModelError):
    """The model answered a wrong number of vectors, or NaN or infinite values."""


class WrongDimension(BadVectors):
    """Every vector has another dimension than the catalogue says."""


class RowRefused(ModelError):
    """Affects one row: the model does not take its text."""


class TextTooLong(RowRefused):
    """The model would cut the text."""


class PartialRefusal(RowRefused):
    """`refused`: reasons by the texts' positions. `vectors`: one for each position; those of the
    refused positions must not be used."""

    def __init__(self, refused: dict[int, str], vectors: np.ndarray):
        super().__init__(next(iter(refused.values())))
        self.refused, self.vectors = refused, vectors


class ContractError(RagkitError):
    """The contract does not allow it."""


class SpaceNotReady(ContractError):
    """No column serves this model yet, or its backfill is not finished."""


class RescueRefused(ContractError):
    """A rescued search would find too little: a gate of the plan forbids it."""


class SpaceMismatch(ContractError):
    """The column is bound to another space."""


class DamagedContract(ContractError):
    """What is kept was changed by hand, or made by another version."""


class EngineError(RagkitError):
    """The workers of a backfill cannot do the work."""


class EngineAway(EngineError):
    """What runs the workers cannot be reached, or has none. This may pass."""


class PhaseError(RagkitError):
    """A step does not fit the migration's phase, or another operator's step is running."""


class Stopped(RagkitError):
    """Somebody has stopped what was running, by `ragkit control stop`."""


class DriftError(RagkitError):
    """A reviewed plan no longer fits the table, the contract or the code."""


class GateError(RagkitError):
    """NO-GO or INCONCLUSIVE: nothing was switched."""


class DeployError(RagkitError):
    """A revision did not start or does not answer; the previous one still serves."""


class AppNotRecognised(DeployError):
    """The app does not answer as expected, or its answers do not tell which model it serves. This
    may pass, for example while the app restarts."""


class SandboxError(RagkitError):
    """The embedded default cannot run here."""


def _restore(
    kind: type[RagkitError], arguments: tuple[Any, ...], attributes: dict[str, Any]
) -> RagkitError:
    """Without the constructor, which may want other arguments than those of the exception."""
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(attributes)
    return error
