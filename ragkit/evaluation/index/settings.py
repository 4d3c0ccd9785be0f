"""The index of a column, and the server settings with which it is measured."""

import sqlalchemy as sa

from ragkit.migration.schema.statements import OPERATOR_CLASSES
from ragkit.retrieval.contract import regclass
from ragkit.retrieval.search import ef_search
from ragkit.retrieval.space import Binding

EF_SEARCH, PROBES = (10, 20, 40, 80, 160, 320), (1, 2, 5, 10, 20)
"""Values of hnsw.ef_search and of ivfflat.probes to measure."""
DEFAULT_PROBES = 1
"""pgvector's."""
EXACT = "exact"
"""In place of a setting: without the index."""
WIDEST = {"hnsw": ("hnsw.ef_search", "1000"), "ivfflat": ("ivfflat.probes", "32768")}
"""The settings with the highest recall that pgvector takes."""

_INDEX_METHOD = sa.text("""
    select m.amname from pg_index i
    join pg_class c on c.oid = i.indexrelid
    join pg_am m on m.oid = c.relam and m.amname in ('hnsw', 'ivfflat')
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
    join pg_opclass o on o.oid = i.indclass[0] and o.opcname like '%' || :operators
    where i.indrelid = to_regclass(:table) and a.attname = :column and i.indisvalid limit 1
""")


def index_method(connection: sa.Connection, binding: Binding) -> str | None:
    """The method of a valid index for the binding's column and distance: hnsw or ivfflat."""
    table, column = binding.stored_in
    parameters = {
        "table": regclass(table),
        "column": column,
        "operators": "\\_" + OPERATOR_CLASSES[binding.distance],
    }
    method: str | None = connection.scalar(_INDEX_METHOD, parameters)
    return method


def search_settings(method: str, k: int) -> tuple[str, list[int], int]:
    """The setting that trades recall for time, the values to measure, and the app's value."""
    if method == "ivfflat":
        return "ivfflat.probes", list(PROBES), DEFAULT_PROBES
    default = ef_search(k)
    return (
        "hnsw.ef_search",
        sorted({*(value for value in EF_SEARCH if value > k), default}),
        default,
    )


def set_locally(connection: sa.Connection, **settings: str) -> None:
    """Sets server settings for the current transaction alone."""
    for name, value in settings.items():
        connection.execute(sa.select(sa.func.set_config(name, value, True)))
