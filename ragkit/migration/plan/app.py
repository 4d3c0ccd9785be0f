"""Sections about the app: how it is deployed, and how it is asked."""

import shlex
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from ragkit.deploy.own_app.template import EXAMPLE, parse_body
from ragkit.migration.plan.section import Identifier, Section


class AppSection(Section):
    """The app that is cut over."""

    target: Literal["manual", "command", "none", "cloud", "local"] = Field(
        "manual",
        description="`manual` (you deploy it), `command` (a script of yours does), `none` (you say "
        "that it was switched), `cloud` (a Cloud Function) or `local` (the sandbox's)",
    )
    way: Literal["column", "view", "swap"] = Field(
        "column",
        description="how the app comes to the new vectors: by the name of their `column`, by a "
        "`view` of the table in a schema of its own, where the old column's name is theirs, or by "
        "a `swap` of the two columns' names while the app restarts",
    )
    view_schema: Identifier = Field("ragkit_v2", description="view: the schema that holds it")
    view_by: Literal["search_path", "schema"] = Field(
        "search_path",
        description="view: how the new revision finds it: `search_path`, or `schema` where the app "
        "names it; then `retire` keeps the view until this says `search_path`",
    )
    view_copy: bool = Field(
        False,
        description="view: true lets the app COPY into it, by a trigger with which INSERT … ON "
        "CONFLICT is not possible there",
    )
    stop: str = Field(
        "", description="command, swap: stops the app; it is run before the names are swapped"
    )
    mixed_window: str = Field(
        "",
        description="swap: a reason to swap although the app may still run; it is recorded in the "
        "ledger",
    )
    url: str = Field("", description="manual, command: the app's address")
    deploy: str = Field(
        "",
        description="command: puts the app on the model in EMBEDDING_MODEL; run without a shell",
    )
    roll_back: str = Field(
        "", description="command: puts the app back on the model in EMBEDDING_MODEL"
    )
    command_seconds: Annotated[float, Field(gt=0)] = Field(
        600.0,
        description="command: how long a command may take, and after it the app until its answers "
        "are those of the other model, in s",
    )
    confirmed: str = Field(
        "",
        description="none: who switched the app, and when; it is recorded in the ledger, and "
        "counts for one step",
    )
    port: Annotated[int, Field(ge=1, le=65535)] = Field(
        8080, description="local: the app's port on this machine"
    )
    function: str = Field("", description="cloud: the function's name")
    service_account: str = Field(
        "", description="cloud: the e-mail address it runs as; empty: SERVICE_ACCOUNT"
    )
    db_secret: str = Field(
        "", description="cloud: the secret of the database password; empty: DB_PASS_SECRET"
    )
    allow_unauthenticated: bool = Field(False, description="cloud: true makes the function public")
    canary: list[Annotated[int, Field(ge=1, le=99)]] = Field(
        [5, 50], description="cloud: shares of the traffic before all of it, in percent"
    )
    apply: bool = Field(False, description="cloud: false shows the gcloud commands, true runs them")
    smoke_question: str = Field(
        "", description="asked of a new revision before it gets traffic; empty: a row's label"
    )

    @field_validator("url")
    @classmethod
    def _without_password(cls, text: str) -> str:
        address = text.partition("://")[2] or text
        if "@" in address or "?" in address:
            raise ValueError("expected an address without user, password and parameters")
        return text

    @model_validator(mode="after")
    def _names_the_function(self) -> Self:
        if self.target == "cloud" and not self.function:
            raise ValueError("target: cloud deploys a Cloud Function: set app.function")
        return self

    @model_validator(mode="after")
    def _names_the_commands(self) -> Self:
        if self.target == "command":
            needed = {"app.url": self.url, "app.deploy": self.deploy}
            needed["app.roll_back"] = self.roll_back
            if missing := [name for name, value in needed.items() if not value.strip()]:
                raise ValueError(f"target: command needs {', '.join(missing)}")
        return self

    @field_validator("view_schema")
    @classmethod
    def _is_free_for_views(cls, name: str) -> str:
        if name in ("ragkit", "information_schema") or name.startswith("pg_"):
            raise ValueError("expected a schema for views of the app, not one of others")
        return name

    @field_validator("deploy", "roll_back", "stop")
    @classmethod
    def _is_a_command_line(cls, line: str) -> str:
        try:
            shlex.split(line)
        except ValueError as error:
            raise ValueError(f"expected a command line: {error}") from None
        return line


class CanarySection(Section):
    """Limits of a new revision while it has a share of the traffic (cloud)."""

    errors: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.02, description="by how much its share of failed answers is larger; 0.02: two points"
    )
    slower: Annotated[float, Field(gt=1)] = Field(
        1.5, description="how many times slower its slow answers are: those beyond the old p95"
    )
    empty: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.05, description="by how much its share of answers without rows is larger"
    )
    overlap: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0,
        description="the least mean share of rows that both answers have; 0: it is only shown",
    )
    per_second: Annotated[float, Field(ge=0, le=100)] = Field(
        5.0,
        description="questions a second that ragkit asks of both revisions, less what the log "
        "tells of live ones; 0: none",
    )
    minutes: Annotated[float, Field(gt=0)] = Field(
        60.0, description="how long a step may take until its tests decide; then all goes back"
    )


class CheckSection(Section):
    """How an app of your own is asked, and what its answers are compared by."""

    method: Literal["POST", "GET"] = Field("POST", description="of the request")
    path: str = Field("/", description="of the request, after app.url")
    body: str = Field(
        EXAMPLE,
        description="JSON with {question} in one of its texts: the body of a POST, or the "
        "parameters of a GET; not the place for a secret",
    )
    rows: str = Field(
        "results",
        description="where the list of rows stands in the JSON answer, such as data.hits; empty: "
        "the answer is the list",
    )
    field: str = Field(
        "",
        description="what identifies a row, such as document.id; `.`: the row itself; empty: the "
        "app says its model at /healthz",
    )
    matches: Literal["key", "content", "label"] = Field(
        "key", description="the column of the table that this field holds"
    )
    authorization_env: str = Field(
        "", description="the environment variable that holds the header Authorization"
    )
    per_second: Annotated[float, Field(ge=0, le=100)] = Field(
        1.0, description="questions a second that `ragkit run` asks meanwhile; 0: none"
    )

    @field_validator("path")
    @classmethod
    def _is_a_path(cls, path: str) -> str:
        if not path.startswith("/") or set(path) & set("?#@ "):
            raise ValueError("expected a path such as /search, without parameters")
        return path

    @field_validator("authorization_env")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if name and not (name.isidentifier() and name.isascii()):
            raise ValueError("expected the name of an environment variable, not its value")
        return name

    @model_validator(mode="after")
    def _has_a_body(self) -> Self:
        try:
            parse_body(self.method, self.body)
        except ValueError as error:
            raise ValueError(f"body: {error}") from None
        return self
