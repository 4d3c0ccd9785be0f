"""Brings a service back whose old model is gone: the contract lets the function answer by the new
model, while its column is still filling."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ragkit.database.identifiers import quote_identifier
from ragkit.database.translate import translate_errors
from ragkit.deploy.app import App
from ragkit.embedding.embedder import Embedder
from ragkit.errors import ConfigError, DamagedContract, GateError
from ragkit.migration import ledger, phases
from ragkit.migration.cutover import TrafficSwitch, switch_traffic
from ragkit.migration.exclusive import exclusive
from ragkit.migration.migration import Migration
from ragkit.migration.rescue.document import choose_document
from ragkit.migration.rescue.live_quota import create_live_quota, drop_live_quota
from ragkit.migration.rescue.text_index import MIN_ROWS, build_text_index, drop_text_index
from ragkit.migration.schema.expansion import allow_missing_old, expand
from ragkit.migration.schema.index.current import state
from ragkit.migration.schema.index.estimate import estimate_rows
from ragkit.migration.schema.statements import lock_schema, qualified_index
from ragkit.retrieval.contract import SCHEMA
from ragkit.retrieval.rescue.candidates.bridge import Bridge
from ragkit.retrieval.rescue.plan import (
    RESCUE,
    RescuePlan,
    read_bridge,
    read_plan,
    remove_plan,
    write_plan,
)


@dataclass(frozen=True)
class Rescue:
    """`language` is a text search configuration; `text_index` says whether the search has one. At
    most `texts_per_question` texts are embedded for a question that is asked the first time.
    `bridge` is its method, "none" while full text serves alone. `refused` says why it does not
    serve, "no" where it does."""

    column: str
    language: str
    text_index: bool
    texts_per_question: int
    bridge: str
    refused: str


Judge = Callable[[RescuePlan, Bridge | None], str]
"""Why a rescue may not serve, before it does; "" when it may. May raise DatabaseError."""


def start_rescue(
    migration: Migration,
    embedder: Embedder,
    bridge: Bridge | None = None,
    keep_bridge: bool = False,
    judge: Judge = lambda plan, bridge: "",
) -> Rescue:
    """Adds the new column, and the rescue to the contract, with the bridge into the old column.
    `embedder` is the new model's. `keep_bridge`: without a bridge, one that is there stays. Safe to
    repeat: the settings are those of the plan again. What `judge` refuses answers 503. A column
    that is filled is not judged: it answers by itself as soon as its index is valid.

    Raises PhaseError after the cut-over, ConfigError, SpaceMismatch, ModelError or
    DatabaseError.
    """
    if not migration.terms.is_plain:
        raise ConfigError(
            "a rescue serves through ragkit's function, which knows a row by one column and its "
            "text by another: expected a table.key and a table.content that are columns, and no "
            "table.where; run backfill, and cut over when it is complete"
        )
    is_filled = migration.require_phase("rescue") in phases.COMPLETE
    expand(migration, embedder)
    table, settings = migration.plan.table, migration.plan.rescue
    document = choose_document(migration)
    plan = RescuePlan(
        space=migration.new.space.fingerprint, key=migration.key.name, key_type=migration.key_type,
        content=table.content, language=document.language, document=document.column,
        rerank=settings.rerank,
        seconds=settings.seconds,
        index="" if migration.plan.index.type == "none" else qualified_index(migration),
    )  # fmt: skip
    with translate_errors("counting pages"), migration.engine.connect() as connection:
        is_small = estimate_rows(connection, migration) < MIN_ROWS
        answers = is_filled and (not plan.index or state(connection, migration).valid)
    plan = replace(plan, is_small=is_small)
    has_index = not answers and build_text_index(migration, plan)
    if keep_bridge and bridge is None:
        bridge = find_bridge(migration)
    plan = replace(plan, refused="" if is_filled else judge(plan, bridge))
    with translate_errors("writing the rescue"), migration.engine.begin() as connection:
        for statement in lock_schema():
            connection.exec_driver_sql(statement)
        method = bridge.method if bridge else "none"
        plan = replace(plan, take_quota=create_live_quota(connection, migration, embedder))
        write_plan(connection, migration.new, plan, migration.plan.old.column, bridge)
        name = quote_identifier(SCHEMA, RESCUE.name)
        connection.exec_driver_sql(f"grant select on {name} to public")
        ledger.record(
            connection, migration.id, "rescue", language=plan.language, rerank=plan.rerank,
            text_index=has_index, bridge=method, refused=plan.refused,
        )  # fmt: skip
    return Rescue(
        migration.plan.new.column, plan.language, has_index, plan.rerank, method,
        plan.refused or "no",
    )  # fmt: skip


def find_plan(migration: Migration) -> RescuePlan | None:
    """None without a rescue. Raises DamagedContract or DatabaseError."""
    with translate_errors("reading the rescue"), migration.engine.connect() as connection:
        return read_plan(connection, migration.new)


def find_bridge(migration: Migration) -> Bridge | None:
    """That of the rescue, if it can be verified, and leads to the old column. Raises
    DatabaseError."""
    with translate_errors("reading the rescue"), migration.engine.connect() as connection:
        try:
            plan = read_plan(connection, migration.new)
            if plan is None or plan.old_column != migration.plan.old.column:
                return None
            return read_bridge(connection, migration.new, plan)
        except DamagedContract:
            return None


def deploy_new_model(migration: Migration, app: App, question: str) -> TrafficSwitch:
    """Gives the traffic to the new model; `question` is the smoke test's. Nothing else decides: no
    verdict is possible, and nothing serves. Raises ConfigError when the plan does not name its
    database, GateError when the rescue was refused, PhaseError or DeployError."""
    migration.require_named_database("rescue")
    with exclusive(migration, "rescue"):
        migration.require_phase("rescue")
        if (plan := find_plan(migration)) and plan.refused:
            raise GateError(
                f"the rescue is not deployed: {plan.refused}. Lower rescue.min_quality if such "
                "answers are better than none, or fill the column: ragkit backfill"
            )
        allow_missing_old(migration)
        switch = switch_traffic(app, migration.plan.new.model, question, reuse=False)
        migration.record("rescue", revision=switch.revision.name)
    return switch


def end_rescue(migration: Migration) -> None:
    """Removes what a rescue has added; does nothing when there was none. Raises DatabaseError."""
    with translate_errors("ending the rescue"), migration.engine.begin() as connection:
        remove_plan(connection, migration.new)
        drop_live_quota(connection, migration)
    drop_text_index(migration)
