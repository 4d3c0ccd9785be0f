"""Every error ragkit raises on purpose. The message says what was expected, what came, what to do.

RagkitError
├── ConfigError          a setting is missing or wrong
│   ├── UnknownModel
│   └── PlanError        every fault of a plan at once
├── DatabaseError
│   ├── DatabaseUnavailable
│   └── SchemaError      a table, column, key, extension or right is not as needed
├── ModelError
│   ├── ModelUnavailable concerns every row: key, permission, quota, retired model
│   │   ├── ModelBusy    will pass: too many requests, a server's fault, no answer in time
│   │   └── BudgetSpent
│   ├── BadVectors       wrong count or values
│   │   └── WrongDimension
│   └── RowRefused       concerns one row alone
│       ├── TextTooLong
│       └── SomeRefused  these rows of a request, the others have vectors
├── ContractError
│   ├── SpaceNotReady
│   └── SpaceMismatch
├── GateError            NO-GO or INCONCLUSIVE: nothing was switched
├── DeployError          a revision did not come up; the one before still serves
└── SandboxError         the embedded default cannot run here
"""

from collections.abc import Sequence


class RagkitError(Exception):
    """The root of all errors of this project."""

    def _render_traceback_(self) -> list[str]:
        """One line in JupyterLab, in papermill's output and in the HTML report (IPython hook)."""
        return [f"{type(self).__name__}: {self}"]


class ConfigError(RagkitError):
    pass


class UnknownModel(ConfigError):
    def __init__(self, name: str, known: list[str]):
        super().__init__(
            f"unknown model {name!r}; expected one of {', '.join(known)}, "
            "or module:attribute of a LangChain Embeddings object"
        )


class PlanError(ConfigError):
    def __init__(self, faults: list[str]):
        self.faults = faults
        super().__init__(f"{len(faults)} fault(s) in the parameters: " + "; ".join(faults))


class DatabaseError(RagkitError):
    pass


class DatabaseUnavailable(DatabaseError):
    pass


class SchemaError(DatabaseError):
    pass


class ModelError(RagkitError):
    pass


class ModelUnavailable(ModelError):
    pass


class ModelBusy(ModelUnavailable):
    pass


class BudgetSpent(ModelUnavailable):
    pass


class BadVectors(ModelError):
    pass


class WrongDimension(BadVectors):
    pass


class RowRefused(ModelError):
    pass


class TextTooLong(RowRefused):
    pass


class SomeRefused(RowRefused):
    """`refused`: reasons by the texts' places; `vectors`: of all places, of use for the others."""

    def __init__(self, refused: dict[int, str], vectors: Sequence):
        super().__init__(next(iter(refused.values())))
        self.refused, self.vectors = refused, vectors


class ContractError(RagkitError):
    pass


class SpaceNotReady(ContractError):
    pass


class SpaceMismatch(ContractError):
    pass


class GateError(RagkitError):
    pass


class DeployError(RagkitError):
    pass


class SandboxError(RagkitError):
    pass
