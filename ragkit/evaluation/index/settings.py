"""The index of a column, and the settings with which it is measured."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import sqlalchemy as sa

from ragkit.migration.schema.statements import OPERATOR_CLASSES
from ragkit.retrieval.contract import regclass
from ragkit.retrieval.quantised.bits import MAX_EF_SEARCH, factors
from ragkit.retrieval.search import ef_search
from ragkit.retrieval.space import Binding

EF_SEARCH, PROBES = (10, 20, 40, 80, 160, 320), (1, 2, 5, 10, 20)
"""Values of hnsw.ef_search and of ivfflat.probes to measure."""
DEFAULT_PROBES, MAX_PROBES = 1, 32_768
"""pgvector's."""
EXACT = "exact"
"""In place of a setting: without the index."""
OVERSAMPLING = "oversampling"

_INDEX_METHOD = sa.text("""
    select m.amname from pg_index i
    join pg_class c on c.oid = i.indexrelid
    join pg_am m on m.oid = c.relam and m.amname in ('hnsw', 'ivfflat')
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
    join pg_opclass o on o.oid = i.indclass[0] and o.opcname like '%' || :operators
    where i.indrelid = to_regclass(:table) and a.attname = :column and i.indisvalid limit 1
""")
_HAS_BITS = sa.text("""
    select exists (
        select from pg_index i
        join pg_opclass o on o.oid = i.indclass[0] and o.opcname = 'bit_hamming_ops'
        join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = i.indexrelid
        join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
        where i.indrelid = to_regclass(:table) and a.attrelid = i.indrelid
          and a.attname = :column and i.indisvalid)
""")


@dataclass(frozen=True)
class Index:
    """How far an index is searched for k rows: `setting` trades recall for time. `values` are to be
    measured; the app has `default`; `widest` has the highest recall that pgvector gives."""

    binding: Binding
    k: int
    setting: str
    values: list[int]
    default: int
    widest: int

    def label(self, value: int) -> str:
        """Such as "hnsw.ef_search = 40"."""
        return f"{self.setting} = {value}"

    def at(self, value: int) -> tuple[Binding, Mapping[str, str]]:
        """The binding to search by, and the settings of the server."""
        if self.setting == OVERSAMPLING:
            return replace(self.binding, oversampling=value), {}
        return self.binding, {self.setting: str(value)}


def find_index(connection: sa.Connection, binding: Binding, k: int) -> Index | None:
    """The valid index that searches for the binding use: by its column, its distance and, of an
    index of bits, its oversampling. None where there is none."""
    table, column = binding.stored_in
    names = {"table": regclass(table), "column": column}
    if binding.oversampling:
        if not connection.scalar(_HAS_BITS, names):
            return None
        values = sorted({*factors(k), binding.oversampling})
        return Index(binding, k, OVERSAMPLING, values, binding.oversampling, MAX_EF_SEARCH)
    operators = "\\_" + OPERATOR_CLASSES[binding.distance]
    method = connection.scalar(_INDEX_METHOD, {**names, "operators": operators})
    if method is None:
        return None
    if method == "ivfflat":
        return Index(binding, k, "ivfflat.probes", list(PROBES), DEFAULT_PROBES, MAX_PROBES)
    default = ef_search(k)
    values = sorted({*(value for value in EF_SEARCH if value > k), default})
    return Index(binding, k, "hnsw.ef_search", values, default, MAX_EF_SEARCH)


def set_locally(connection: sa.Connection, **settings: str) -> None:
    """Sets server settings for the current transaction alone."""
    for name, value in settings.items():
        connection.execute(sa.select(sa.func.set_config(name, value, True)))
