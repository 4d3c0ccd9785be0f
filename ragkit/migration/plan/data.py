"""Sections about the data: database, table, old and new column, index."""

from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator

from ragkit.database.engine import parse_url
from ragkit.embedding.long_texts.embedder import LongTexts
from ragkit.errors import ConfigError
from ragkit.migration.plan.section import MAX_NAME, Identifier, OptionalIdentifier, Section


class DatabaseSection(Section):
    """Where the table is, and how schema statements wait for locks."""

    url: str = Field(
        "env",
        description="`env` (the Cloud SQL variables or DATABASE_URL), `sandbox`, or "
        "postgresql+pg8000://user@host:port/database without a password (set DB_PASS)",
    )
    direct: str = Field(
        "",
        description="a way to the same database past a pooler in transaction mode, on which the "
        "index is built: `env` (DATABASE_DIRECT_URL), or a URL as in `url`; empty: none",
    )
    expect: str = Field(
        "",
        description="the database as inspect names it, such as `shop at db.example.com`: another "
        "one is refused; the cut-over and the retirement need it where url is `env`",
    )
    lock_timeout_ms: Annotated[int, Field(ge=1, le=60_000)] = Field(
        500, description="how long a schema statement waits for a lock, in ms"
    )
    ddl_seconds: Annotated[float, Field(gt=0)] = Field(
        60.0, description="how long a schema statement is retried, in s"
    )

    @field_validator("url", "direct")
    @classmethod
    def _without_password(cls, text: str, info: ValidationInfo) -> str:
        words = ("env", "") if info.field_name == "direct" else ("env", "sandbox")
        if text in words:
            return text
        try:
            url = parse_url(text, None)
        except ConfigError as error:
            expected = ", ".join(f'"{word}"' for word in words)
            raise ValueError(f"expected {expected} or a URL: {error}") from None
        if url.password is not None:
            raise ValueError("holds a password: remove it and set DB_PASS in the environment")
        return text


def is_expression(content: str) -> bool:
    """Whether it is in parentheses, as PostgreSQL wants the expression of an index."""
    return content.startswith("(") and content.endswith(")")


class TableSection(Section):
    """The table whose vectors are migrated."""

    schema_name: Identifier = Field("public", alias="schema", description="the table's schema")
    name: Identifier = Field(description="the table")
    key: Identifier | Annotated[tuple[Identifier, ...], Field(min_length=2, strict=False)] = Field(
        description="a column that is unique and NOT NULL, or a list of columns that are together, "
        "such as [tenant_id, id]"
    )
    content: Annotated[str, Field(min_length=1)] = Field(
        description="the column with the text that is embedded, or in parentheses an expression "
        "over columns, such as (title || E'\\n' || body) or (payload->>'data')"
    )
    text_table: str = Field(
        "",
        description="the table that holds the content where it is another one, such as documents "
        "of chunks: a name, or schema.name; empty: the table itself",
    )
    text_key: OptionalIdentifier = Field("", description="a column of text_table that is unique")
    text_by: OptionalIdentifier = Field(
        "", description="the column of the table that holds the text_key of a row's text"
    )
    where: str = Field(
        "",
        description="a condition on columns: only its rows are migrated, such as "
        "collection_id = '7f3c…'; empty: every row",
    )
    label: OptionalIdentifier = Field(
        "",
        description="a column with a short name of a row, for tables and charts; "
        "empty: the start of the content",
    )
    category: OptionalIdentifier = Field(
        "", description="a column by which the comparison is sliced; empty: none"
    )
    distance: Literal["cosine", "l2", "inner_product"] = Field(
        "cosine", description="how the app measures distance"
    )

    @field_validator("schema_name")
    @classmethod
    def _is_one_part(cls, schema: str) -> str:
        if "." in schema:
            raise ValueError("has a dot, which is what separates it from the table: rename it")
        return schema

    @field_validator("content")
    @classmethod
    def _is_name_or_expression(cls, content: str) -> str:
        if len(content) > MAX_NAME and not is_expression(content):
            raise ValueError("is no column name; an expression is written in parentheses: (…)")
        return content

    @property
    def keys(self) -> tuple[str, ...]:
        """The key's columns."""
        return (self.key,) if isinstance(self.key, str) else self.key

    @property
    def is_expression(self) -> bool:
        """Whether the content is one, and no column."""
        return is_expression(self.content)

    @property
    def qualified_name(self) -> str:
        """ "schema.table": the name in the contract and in the function's DB_TABLE."""
        return f"{self.schema_name}.{self.name}"


class ColumnSection(Section):
    """A model, and the column that holds its vectors."""

    model: str = Field(
        description="a model of the catalogue, PROVIDER:NAME/DIMENSION, or module:attribute of a "
        "LangChain Embeddings object; see [Models](#models)"
    )
    column: Identifier = Field(description="the column of its vectors")
    placement: Literal["column", "side_table"] = Field(
        "column",
        description="where the vectors are: `column`, in the table itself, or `side_table`, in a "
        "table of ragkit's by the table's key, for an app that searches through ragkit or joins; "
        "`column` is then their name in the contract",
    )
    long_texts: LongTexts = Field(
        "refuse",
        description="a text that is longer than the model takes: `refuse` it, `cut` it and embed "
        "its start, or embed it in `pieces` and keep the mean of their vectors",
    )

    _declared: str = PrivateAttr("")

    @property
    def is_beside(self) -> bool:
        """Whether the vectors are in a side table."""
        return self.placement == "side_table"

    @property
    def declared(self) -> str:
        """The column's name in the params file, by which the ledger and the index know it: the
        column itself may be renamed by a migration."""
        return self._declared or self.column

    def renamed(self, column: str) -> Self:
        """As it is called now."""
        section = self.model_copy(update={"column": column})
        section._declared = self.declared
        return section


class OldSection(ColumnSection):
    """What serves today. The column is not changed before the cut-over. A model that nobody can
    call any more is named with its dimension, such as `text-search-ada-doc-001/1024`."""

    retire: bool = Field(False, description="true lets the step `retire` drop the column for good")


class NewSection(ColumnSection):
    """What is to serve. The column is added beside the old one."""

    adopt: bool = Field(
        False,
        description="true keeps vectors of the new model that the column already holds, after a "
        "check of a sample",
    )


class IndexSection(Section):
    """The approximate index of the new column."""

    type: Literal["hnsw", "ivfflat", "binary", "none"] = Field(
        "hnsw",
        description="the index to build; `binary`: an HNSW index of one bit a dimension, whose "
        "candidates are ranked by their vectors: it is smaller, and takes more than 4,000 "
        "dimensions; `none`: exact search",
    )
    oversampling: Annotated[int, Field(ge=0, le=1000)] = Field(
        0,
        description="candidates of a `binary` index for each row that is asked for; 0: as few as "
        "reach gates.index_recall on a sample of the filled column",
    )
    memory_mb: Annotated[int, Field(ge=0)] = Field(
        0,
        description="maintenance_work_mem of the session that builds it, in MB; 0: from the "
        "server's settings and the size of the index",
    )
    workers: Annotated[int, Field(ge=0)] = Field(
        0,
        description="parallel workers of that session; 0: from the server's settings and its free "
        "connections",
    )
