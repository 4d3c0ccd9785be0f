"""Sections about the steps: rescue, evaluation, gates, notifications."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ragkit.migration.plan.section import OptionalIdentifier, Section, Share


class RescueSection(Section):
    """How questions are answered while the new column fills, where the old model is gone."""

    language: OptionalIdentifier = Field(
        "",
        description="a text search configuration of PostgreSQL, such as `english`; empty: that of "
        "a generated `tsvector` column, or of the texts",
    )
    rerank: Annotated[int, Field(ge=0, le=100)] = Field(
        20, description="texts that are embedded for one question, if their rows have no vector yet"
    )
    pairs: Annotated[int, Field(ge=0, le=10_000)] = Field(
        400, description="rows that are embedded at most to fit the bridge into the old column"
    )
    seconds: Annotated[float, Field(gt=0, le=60)] = Field(
        3.0,
        description="how long a question waits for the model, in s; then it gets the order of the "
        "full text search",
    )
    min_quality: Share = Field(
        0.3,
        description="the nDCG that the candidates can reach at best; while its whole interval is "
        "below this, the function answers 503. 0: no limit",
    )
    anyway: bool = Field(False, description="true starts a rescue although the app still answers")


class EvaluationSection(Section):
    """What old and new retrieval are compared by."""

    questions: str = Field(
        "",
        description="a file of questions, or `known-items`; empty: stored vectors are compared",
    )
    qrels: str = Field("", description="a file of judgements; empty: the questions are a log")
    old_run: str = Field(
        "",
        description="a file of what the old model answered, for one that cannot be asked: a TREC "
        "run, or JSON lines with `text` and `rows`; empty: the old model is asked",
    )
    k: Annotated[int, Field(ge=1, le=100)] = Field(10, description="rows of a ranked list")
    text_weight: Share = Field(
        0.0,
        description="of full text, where the app fuses it with the vectors by reciprocal rank; 0: "
        "vectors alone",
    )
    cutoff: Annotated[float, Field(gt=0, le=2)] = Field(
        0.5, description="the distance beyond which the app shows no row"
    )
    carry_cutoff: Literal["no", "questions"] = Field(
        "no", description="`questions` writes both cut-offs into the contract"
    )
    shadow_log: str = Field("", description="a log of the function's shadow mode; empty: none")
    seed: int = Field(1, description="random seed of the bootstrap and the randomisation test")

    @model_validator(mode="after")
    def _judges_questions(self) -> Self:
        if self.qrels and self.questions in ("", "known-items"):
            raise ValueError("qrels judge the questions of a file: set evaluation.questions to it")
        return self


class GatesSection(Section):
    """The limits of the verdict, set before the comparison."""

    claim: Literal["not worse", "better"] = Field(
        "not worse", description="what nDCG must show: non-inferiority or superiority"
    )
    margin: Share = Field(0.04, description="how much nDCG and recall may fall")
    ndcg_floor: Share = Field(0.3, description="the nDCG that the new model must reach")
    preference_margin: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.1,
        description="by how much more questions, net, people may prefer the old model's lists",
    )
    precision_floor: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.3, description="the share of relevant rows that the new model's lists must reach"
    )
    index_recall: Share = Field(0.9, description="recall of the index against exact search")
    p95_ms: Annotated[float, Field(gt=0)] = Field(
        250.0, description="from a question to its rows, 95th percentile, in ms"
    )
    dead_letters: Annotated[int, Field(ge=0)] = Field(
        0, description="rows that the model may refuse"
    )
    verdict_hours: Annotated[float, Field(gt=0)] = Field(
        168.0, description="how old a verdict may be at the cut-over, in hours"
    )
    override: str = Field(
        "", description="a reason to cut over without a GO; it is recorded in the ledger"
    )


class NotifySection(Section):
    """Who is told by a JSON POST when a step has ended: its outcome, the phase, the verdict. For
    the step commands, and for the notebooks of `ragkit run`."""

    url: Annotated[str, Field(pattern=r"^(|env|https?://[^\s@?#]+)$")] = Field(
        "",
        description="the address, without a secret in it; `env`: that of `NOTIFY_URL`; empty: "
        "nobody is told",
    )
