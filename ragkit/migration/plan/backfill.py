"""The section about the backfill."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from ragkit.errors import ConfigError
from ragkit.migration.control.window import Window
from ragkit.migration.plan.section import Section


class BackfillSection(Section):
    """How the new column is filled."""

    batch_size: Annotated[int, Field(ge=0, le=10_000)] = Field(
        0, description="texts in one request to the model; 0: as many as the model takes"
    )
    in_flight: Annotated[int, Field(ge=0, le=256)] = Field(
        0, description="requests that are with the model at once; 0: the catalogue's"
    )
    slow_factor: Annotated[float, Field(ge=1)] = Field(
        1.5, description="the backfill slows down when the app's p95 grows by more than this factor"
    )
    model_seconds: Annotated[float, Field(gt=0)] = Field(
        120.0, description="how long a busy or silent model is waited for, in s"
    )
    requests_per_minute: Annotated[int, Field(ge=0)] = Field(
        0, description="your quota; 0: the catalogue's"
    )
    tokens_per_minute: Annotated[int, Field(ge=0)] = Field(
        0, description="your quota; 0: the catalogue's"
    )
    mode: Literal["live", "batch"] = Field(
        "live",
        description="`batch` fills by the provider's batch API: at half the price or so, in 24 "
        "hours a job; what people write meanwhile is embedded live",
    )
    batch_folder: Annotated[str, Field(pattern=r"^(gs://[a-z0-9][a-z0-9._-]+(/[\w.-]+)*)?$")] = (
        Field(
            "",
            description="a folder of Cloud Storage for the jobs of Vertex AI, such as "
            "`gs://acme-rag/ragkit`",
        )
    )
    batch_hours: Annotated[float, Field(gt=0)] = Field(
        26.0, description="how long one run waits for the jobs of a batch API, in hours"
    )
    window: str = Field(
        "",
        description="the hours in which it runs, such as `22:00-06:00 Europe/Berlin`; empty: "
        "always. Rows that people write meanwhile are embedded by `ragkit follow` at any hour",
    )
    engine: Literal["local", "dask"] = Field(
        "local",
        description="who fills: this process, or `backfill.workers` of this machine; or the "
        "workers of a Dask scheduler",
    )
    address: Annotated[str, Field(pattern=r"^([a-z]+://[^\s/@?#]+)?$")] = Field(
        "", description="of the Dask scheduler, such as `tcp://10.0.0.5:8786`"
    )
    workers: Annotated[int, Field(ge=0, le=1_000)] = Field(
        0,
        description="processes that fill at once; 0: one here, or all workers of the scheduler. "
        "They share quota and budget",
    )
    budget_usd: Annotated[float, Field(ge=0)] = Field(
        0.0, description="the backfill stops cleanly at this cost, in US dollars; 0: no limit"
    )

    @field_validator("window")
    @classmethod
    def _is_window(cls, text: str) -> str:
        try:
            return str(Window.parse(text)) if text else ""
        except ConfigError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _names_the_scheduler(self) -> Self:
        if self.engine == "dask" and not self.address:
            raise ValueError("engine: dask needs backfill.address, such as tcp://10.0.0.5:8786")
        if self.engine != "dask" and self.address:
            raise ValueError("address is a Dask scheduler's: set backfill.engine: dask")
        if self.mode == "batch" and (self.engine == "dask" or self.workers > 1):
            raise ValueError("mode: batch needs no workers: the provider embeds")
        return self
