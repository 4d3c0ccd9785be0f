"""The section about people who judge."""

from typing import Annotated

from pydantic import Field

from ragkit.migration.plan.section import Section


class JudgingSection(Section):
    """How people judge the results of both models; see `ragkit judge`."""

    judge: str = Field("", description="who judges; empty: the login name")
    folder: str = Field(
        "runs/judgements", description="where judgements are kept, one file for each judge"
    )
    rows: Annotated[int, Field(ge=1, le=20)] = Field(
        3, description="rows of a list that are judged: as many as your app shows"
    )
    pooled: bool = Field(
        False,
        description="true judges the rows of both lists one by one, relevant or not, in place of "
        "the two lists side by side",
    )
    redact: str = Field(
        "",
        description="module:attribute of a function that removes personal data from the text of a "
        "question, before it is shown, embedded or kept; empty: none",
    )
