"""Facts about models, for what the catalogue does not know or has another value for."""

import re
from datetime import date
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from ragkit.embedding.catalogue import MAX_DIMENSION
from ragkit.migration.plan.section import Section

Count = Annotated[int, Field(ge=1)]
Dimension = Annotated[int, Field(ge=1, le=MAX_DIMENSION)]
Day = Annotated[date, Field(strict=False)]
MAX_USD = 1_000_000
"""Of a price that is no slip of the pen."""
_PLAIN = re.compile(r"https?://[^\s@?#]+")


class ModelFacts(Section):
    """By the model's name, as in `old.model` or `new.model`, without a dimension: what the
    catalogue does not know of it, or has another value for. See [Models](#models)."""

    dimension: Dimension | None = Field(
        None, description="what the model makes if no other dimension is asked for"
    )
    shorter: Annotated[tuple[Dimension, ...], Field(strict=False)] | None = Field(
        None, description="a list of the other dimensions that it can be asked for"
    )
    max_texts: Count | None = Field(None, description="texts a request")
    max_tokens: Count | None = Field(None, description="tokens a request")
    max_tokens_per_text: Count | None = Field(None, description="tokens a text")
    in_flight: Annotated[int, Field(ge=1, le=256)] | None = Field(
        None, description="requests at once"
    )
    requests_per_minute: Count | None = Field(None, description="the quota of requests")
    tokens_per_minute: Count | None = Field(None, description="the quota of tokens")
    usd_per_million_tokens: Annotated[float, Field(ge=0, le=MAX_USD)] | None = Field(
        None, description="the price, in US dollars"
    )
    price_as_of: Day | None = Field(None, description="when that was the price, as 2026-11-27")
    batch_texts: Count | None = Field(
        None, description="texts a job of the batch API (`backfill.mode: batch`)"
    )
    batch_discount: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        None, description="the share that the batch API takes off the price"
    )
    retires: Day | None = Field(None, description="the day on which the model is gone")
    document_prefix: str | None = Field(
        None, description="put before each text of a row, such as `passage: ` for e5"
    )
    query_prefix: str | None = Field(None, description="put before each question")
    space: str | None = Field(
        None, description="a name that models have in common whose vectors compare"
    )
    base_url: str | None = Field(
        None, description="the address of another server that speaks the provider's protocol"
    )
    key_env: str | None = Field(
        None,
        description="the environment variable with the key of that server; empty: it needs none",
    )
    answers_as: str | None = Field(
        None, description="what that server calls the model in its answers"
    )

    @field_validator("base_url")
    @classmethod
    def _is_plain(cls, url: str | None) -> str | None:
        if url is None or (_PLAIN.fullmatch(url) and _has_host_and_port(url)):
            return url and url.rstrip("/")  # Voyage's SDK would put a second slash behind it
        raise ValueError("expected http(s)://host/path without a user, a password or a query")

    @field_validator("key_env")
    @classmethod
    def _is_variable(cls, name: str | None) -> str | None:
        if name and not re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
            raise ValueError("expected the name of an environment variable, never a key itself")
        return name

    @property
    def given(self) -> dict[str, Any]:
        """The facts that are given, by field."""
        return {name: value for name, value in self if value is not None}


def _has_host_and_port(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, half an IPv6 address
        return False
