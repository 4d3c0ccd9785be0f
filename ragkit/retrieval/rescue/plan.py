"""What a rescued service needs to know: kept beside the contract, versioned and checksummed."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any

import sqlalchemy as sa

from ragkit.database.own_tables import create_own_tables
from ragkit.errors import DamagedContract
from ragkit.retrieval.contract import SCHEMA
from ragkit.retrieval.rescue.candidates.bridge import Bridge
from ragkit.retrieval.space import Binding

VERSION = 1
RESCUE = sa.Table(
    "rescue",
    sa.MetaData(schema=SCHEMA),
    sa.Column("table_name", sa.Text, primary_key=True),
    sa.Column("column_name", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("plan", sa.Text, nullable=False),
    sa.Column("checksum", sa.Text, nullable=False),
    sa.Column("bridge", sa.LargeBinary),
)


@dataclass(frozen=True)
class RescuePlan:
    """How the table of a binding is searched while its new vectors are not complete.

    `space` is the fingerprint of the new space. `key`, `key_type` (as SQL) and `content` describe
    the table; `language` is a text search configuration of PostgreSQL. At most `rerank` texts are
    embedded for a question, within `seconds`. `index` is the index, as SQL, that the native search
    waits for; "" for none. `bridge` is the checksum of the bridge into `old_column`; "" where there
    is none, and full text serves alone. `is_small`: the whole table may be read for a question, so
    that the new vectors which are there are searched too. `refused` says why a gate forbids to
    serve this way; "" while none does. `take_quota` is the function, as SQL, that is told what
    questions use of the model; "" for none. `document` is the table's generated column of the texts
    in that language, which is searched in their place; "" for none.
    """

    space: str
    key: str
    key_type: str
    content: str
    language: str
    rerank: int = 20
    seconds: float = 3.0
    index: str = ""
    old_column: str = ""
    bridge: str = ""
    is_small: bool = False
    refused: str = ""
    take_quota: str = ""
    document: str = ""


def write_plan(
    connection: sa.Connection,
    binding: Binding,
    plan: RescuePlan,
    old_column: str = "",
    bridge: Bridge | None = None,
) -> None:
    """With a bridge into `old_column`, if there is one; in the caller's transaction. Replaces an
    earlier plan."""
    create_own_tables(connection, RESCUE.metadata)
    remove_plan(connection, binding)
    data = bridge.to_bytes() if bridge else None
    checksum = hashlib.sha256(data).hexdigest() if data else ""
    plan = replace(plan, old_column=old_column if bridge else "", bridge=checksum)
    text = json.dumps(asdict(plan), sort_keys=True)
    values = {
        "table_name": binding.table, "column_name": binding.column, "version": VERSION,
        "plan": text, "checksum": _checksum(binding, text), "bridge": data,
    }  # fmt: skip
    connection.execute(sa.insert(RESCUE).values(values))


def remove_plan(connection: sa.Connection, binding: Binding) -> None:
    """In the caller's transaction; does nothing when there is none."""
    if _exists(connection):
        connection.execute(sa.delete(RESCUE).where(*_is_of(binding)))


def read_plan(connection: sa.Connection, binding: Binding) -> RescuePlan | None:
    """None when the binding's service is not rescued. Raises DamagedContract for one that was
    changed by hand, or made by another version or for another space."""
    if not _exists(connection):
        return None
    small = [column for column in RESCUE.columns if column is not RESCUE.c.bridge]
    row = connection.execute(sa.select(*small).where(*_is_of(binding))).one_or_none()
    return None if row is None else _parse(binding, row)


def read_bridge(connection: sa.Connection, binding: Binding, plan: RescuePlan) -> Bridge:
    """That of the plan. Raises DamagedContract for any other."""
    data = connection.scalar(sa.select(RESCUE.c.bridge).where(*_is_of(binding))) or b""
    if hashlib.sha256(data).hexdigest() != plan.bridge:
        raise DamagedContract(
            f"the bridge of {binding.column} in {SCHEMA}.{RESCUE.name} is not that of its plan: "
            "run the rescue again"
        )
    return Bridge.from_bytes(data)


def _parse(binding: Binding, row: sa.Row[Any]) -> RescuePlan:
    name = f"the rescue of {binding.column} in {SCHEMA}.{RESCUE.name}"
    if row.version != VERSION:
        raise DamagedContract(
            f"{name} has version {row.version}, this ragkit reads {VERSION}: run the rescue again"
        )
    if row.checksum != _checksum(binding, row.plan):
        raise DamagedContract(f"{name} does not have its checksum: run the rescue again")
    try:
        plan = RescuePlan(**json.loads(row.plan))
    except (ValueError, TypeError):
        raise DamagedContract(
            f"{name} has other fields than this ragkit knows: run the rescue again"
        ) from None
    if plan.space != binding.space.fingerprint:
        raise DamagedContract(
            f"{name} is of space {plan.space}, the column of {binding.space.fingerprint}: "
            "run the rescue again"
        )
    return plan


def _checksum(binding: Binding, text: str) -> str:
    """Of the plan and of what it is for: one that is copied to another table is not taken."""
    named = json.dumps([VERSION, binding.table, binding.column, text])
    return hashlib.sha256(named.encode()).hexdigest()


def _exists(connection: sa.Connection) -> bool:
    return connection.scalar(sa.select(sa.func.to_regclass(f"{SCHEMA}.{RESCUE.name}"))) is not None


def _is_of(binding: Binding) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return RESCUE.c.table_name == binding.table, RESCUE.c.column_name == binding.column
