"""The parameters of a migration, validated once, all faults at once.

A Plan comes from a notebook's parameters cell or from params/*.yaml; both hold the same names.
No field holds a secret: passwords come from the environment (DB_PASS).
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from ragkit.errors import PlanError, UnknownModel
from ragkit.models import find

Identifier = Annotated[str, Field(min_length=1, max_length=63)]
Share = Annotated[float, Field(ge=0, le=1)]
ROOT = Path(__file__).resolve().parents[2]


class Plan(BaseModel):
    """One migration: one table, key and content text, old model and column → new ones."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    database: str = "sandbox"
    table_schema: Identifier = "public"
    table: Identifier = "amenities"
    key: Identifier = "id"
    content: Identifier = "content"
    label: Identifier = "name"
    category: str = ""
    old_model: str = "wordllama-256"
    old_column: Identifier = "embedding"
    new_model: str = "all-minilm-l6-v2"
    new_column: Identifier = "embedding_minilm"
    distance: Literal["cosine", "l2", "inner_product"] = "cosine"
    index_type: Literal["hnsw", "ivfflat", "none"] = "hnsw"
    index_memory_mb: Annotated[int, Field(ge=1)] = 256
    index_workers: Annotated[int, Field(ge=0)] = 1
    batch_size: Annotated[int, Field(ge=1, le=10_000)] = 64
    questions: str = "ragkit/sandbox/data/questions.jsonl"
    qrels: str = "ragkit/sandbox/data/qrels.tsv"
    k: Annotated[int, Field(ge=1, le=100)] = 10
    cutoff: Annotated[float, Field(gt=0, le=2)] = 0.5
    carry_cutoff: Literal["no", "selectivity", "recall"] = "no"
    shadow_log: str = ""
    lock_timeout_ms: Annotated[int, Field(ge=1, le=60_000)] = 500
    ddl_seconds: Annotated[float, Field(gt=0)] = 60.0
    slow_factor: Annotated[float, Field(ge=1)] = 1.5
    model_seconds: Annotated[float, Field(gt=0)] = 120.0
    requests_per_minute: Annotated[int, Field(ge=0)] = 0
    tokens_per_minute: Annotated[int, Field(ge=0)] = 0
    budget_usd: Annotated[float, Field(ge=0)] = 0.0
    gate_set_aside: Annotated[int, Field(ge=0)] = 0
    gate_claim: Literal["not worse", "better"] = "not worse"
    gate_margin: Share = 0.04
    gate_ndcg_floor: Share = 0.3
    gate_index_recall: Share = 0.9
    gate_p95_ms: Annotated[float, Field(gt=0)] = 250.0
    app: Literal["local", "manual", "cloud"] = "local"
    app_url: str = ""
    app_port: Annotated[int, Field(ge=1, le=65535)] = 8080
    function: str = ""
    service_account: str = ""
    db_secret: str = ""
    allow_unauthenticated: bool = False
    canary: list[Annotated[int, Field(ge=1, le=99)]] = [5, 50]
    apply: bool = False
    smoke_question: Annotated[str, Field(min_length=1)] = "restaurants"
    override: str = ""
    retire: bool = False
    seed: int = 1
    run_dir: str = ""

    @classmethod
    def of(cls, values: Mapping[str, object]) -> "Plan":
        """Raises PlanError with every fault and, for an unknown name, the nearest known one."""
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise PlanError([_fault(each) for each in error.errors()]) from None

    @classmethod
    def from_names(cls, names: Mapping[str, object]) -> "Plan":
        """A notebook's globals. Every plain value in it counts, so that a misspelt parameter,
        which papermill only warns of, is refused."""
        plain, own = (str, int, float, bool, list, dict, type(None)), {"In", "Out"}
        return cls.of(
            {
                name: value
                for name, value in names.items()
                if name in cls.model_fields  # an import that hides a parameter is a fault too
                or (isinstance(value, plain) and not name.startswith("_") and name not in own)
            }
        )

    @classmethod
    def from_file(cls, path: Path) -> "Plan":
        """A file of params/. Raises PlanError."""
        return cls.of(parameters(path))

    @property
    def qualified(self) -> str:
        """The table's name in the contract and in the function's DB_TABLE."""
        return f"{self.table_schema}.{self.table}"

    def path(self, name: str) -> Path:
        """A file of the plan; a relative one lies in the checkout, wherever a kernel runs."""
        return ROOT / Path(name).expanduser()

    @field_validator("old_model", "new_model")
    @classmethod
    def _known(cls, name: str) -> str:
        if ":" not in name:
            try:
                find(name)
            except UnknownModel as error:
                raise ValueError(str(error)) from None
        return name

    @field_validator("database")
    @classmethod
    def _no_password(cls, text: str) -> str:
        if text in ("sandbox", "env"):
            return text
        try:
            url = make_url(text)
        except ArgumentError:
            raise ValueError(
                'expected "sandbox", "env" or postgresql+pg8000://user@host:port/database'
            ) from None
        if url.password is not None:
            raise ValueError("holds a password: take it out and set DB_PASS in the environment")
        return text

    @model_validator(mode="after")
    def _different(self) -> "Plan":
        if self.old_column == self.new_column:
            raise ValueError("new_column must differ from old_column: it stands beside it")
        if self.app == "local" and self.database != "sandbox":
            raise ValueError("app: local serves the sandbox alone; set app: manual and app_url")
        if self.app == "cloud" and not self.function:
            raise ValueError("app: cloud deploys a Cloud Function: set function, its name")
        return self


def parameters(path: Path) -> dict[str, object]:
    """The names and values of a params file. Raises PlanError when it is no such file."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        raise PlanError([f"there is no file {path}"]) from None
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        raise PlanError([f"{path} is not YAML{line}"]) from None
    if not isinstance(values, dict):
        raise PlanError([f"{path} must hold name: value lines, got {type(values).__name__}"])
    return values


def _fault(error: Mapping) -> str:
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, Plan.model_fields, n=1)
        return f"unknown parameter {name!r}" + (f" (did you mean {near[0]}?)" if near else "")
    message = error["msg"].removeprefix("Value error, ")
    if name == "database" or not name:  # never echo what may hold a secret
        return f"{name or 'plan'}: {message}"
    return f"{name}: {message}, got {error['input']!r}"
