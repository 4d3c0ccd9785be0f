"""What both ways have in common: the model's address, what is sent, and what is answered."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ragkit.embedding.catalogue import Model
from ragkit.errors import ConfigError

DEADLINE_SECONDS = 30.0
"""For one call with all its retries: a caller of the function waits no longer."""
ATTEMPT_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 0.5
"""Before a first retry; twice as long before each further one."""
_REGION = re.compile(r"global|[a-z]+-[a-z]+\d+")

Instances = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Prediction:
    """A text's vector, and what the service says about the text."""

    values: list[float]
    tokens: int
    truncated: bool


class PredictionClient(Protocol):
    """One way to the service."""

    def predict(
        self,
        instances: Instances,
        parameters: Mapping[str, Any],
        busy: Callable[[], None] | None = None,
    ) -> list[Prediction]:
        """Retries what passes, within DEADLINE_SECONDS; `busy` is called for each refusal that
        is for the quota. Raises ModelError."""
        ...


def shape_instances(texts: Sequence[str], task: str | None) -> Instances:
    """Texts with their task type; a model of the first generation has none."""
    return [{"content": text, **({"task_type": task} if task else {})} for text in texts]


def shape_parameters(model: Model) -> Mapping[str, Any]:
    return {"outputDimensionality": model.dimension} if model.shortened else {}


def resource_name(model: Model, env: Mapping[str, str]) -> str:
    """The model's, as in projects/P/locations/L/publishers/google/models/M. Raises ConfigError when
    the project is missing or the region cannot be one."""
    project, location = project_and_location(model, env)
    return f"projects/{project}/locations/{location}/publishers/google/models/{model.served_name}"


def project_and_location(model: Model, env: Mapping[str, str]) -> tuple[str, str]:
    """Raises ConfigError when the project is missing or the region cannot be one."""
    instance = env.get("INSTANCE_CONNECTION_NAME", "")
    project = env.get("GCP_PROJECT_ID") or ":".join(instance.split(":")[:-2])
    if not project:
        raise ConfigError(f"model {model.name} runs on Vertex AI: set GCP_PROJECT_ID")
    return project, _location(env)


def service_host(env: Mapping[str, str]) -> str:
    """Of the region."""
    location = _location(env)
    host = "aiplatform" if location == "global" else f"{location}-aiplatform"
    return f"{host}.googleapis.com"


def _location(env: Mapping[str, str]) -> str:
    location = env.get("GCP_LOCATION") or "us-central1"
    if not _REGION.fullmatch(location):
        raise ConfigError(f"GCP_LOCATION is {location!r}: expected a region such as us-central1")
    return location
