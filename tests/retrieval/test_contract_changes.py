import pytest

from ragkit.retrieval import contract_changes
from ragkit.retrieval.contract import read_bindings
from ragkit.retrieval.space import Binding, Space


@pytest.mark.parametrize("columns", [("old", "new"), ("new", "old")])
@pytest.mark.parametrize("names", [{"old": "old_2", "new": "old"}, {"new": "next", "old": "new"}])
def test_names_are_swapped_whatever_the_order_of_the_rows(engine, columns, names):
    """PostgreSQL checks a primary key row by row, in the order in which they lie."""
    with engine.begin() as connection:
        connection.exec_driver_sql("create schema ragkit")
        for column in columns:
            space = Space(f"model of {column}", None, 8, "content")
            contract_changes.bind(connection, Binding("public.t", column, space, "cosine"))
        contract_changes.rename(connection, "public.t", names)
        found = {b.column: b.space.model for b in read_bindings(connection, "public.t")}
    assert found == {new: f"model of {old}" for old, new in names.items()}
