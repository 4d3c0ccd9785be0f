"""An index of bits from the plan to the contract, by which an app searches."""

from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.errors import ConfigError
from ragkit.migration import ledger
from ragkit.migration.migration import Migration
from ragkit.migration.schema import index
from ragkit.migration.schema.index import complete, partitioned
from ragkit.retrieval.contract import CONTRACT, as_served
from ragkit.retrieval.search import nearest
from tests.conftest import TEXTS, changed, gates_of, random_vectors, set_new, with_plan
from tests.migration.partitions.tables import expanded

BINARY = {"index.type": "binary", "index.oversampling": 4}


@pytest.fixture
def vectors(engine, plan) -> Migration:
    return random_vectors(engine, changed(plan, {**BINARY, "evaluation.k": 10}), 1500)


def oversampling(migration):
    with migration.engine.connect() as connection:
        return as_served(connection, migration.new).oversampling


def events(migration):
    with migration.engine.connect() as connection:
        return [e.detail for e in ledger.events(connection, migration.id) if "over" in e.kind]


def definition(migration, name):
    sql = sa.text("select pg_get_indexdef(to_regclass(:name))")
    with migration.engine.connect() as connection:
        return connection.scalar(sql, {"name": f'"{name}"'})


def test_the_index_is_of_bits_and_the_contract_says_how_it_is_searched(vectors):
    assert oversampling(vectors) is None
    built = index.build(vectors)
    assert (built.valid, built.name) == (True, "Amenities_new vector_binary")
    told = definition(vectors, built.name)
    assert 'USING hnsw (((binary_quantize("new vector"))::bit(64)) bit_hamming_ops)' in told
    assert oversampling(vectors) == 4
    assert events(vectors) == [{"factor": 4}]


def test_it_is_smaller_than_an_index_of_the_vectors(vectors):
    whole = index.build(with_plan(vectors, {"index.type": "hnsw"}))
    assert index.build(vectors).bytes < whole.bytes / 1.2  # of 64 dimensions, mostly its graph


def test_a_factor_that_is_raised_needs_no_build(vectors):
    first = index.build(vectors)
    raised = index.build(with_plan(vectors, {"index.oversampling": 32}))
    assert (raised.bytes, raised.seconds) == (first.bytes, 0.0)
    assert oversampling(vectors) == 32


def test_another_type_of_index_is_searched_as_such(vectors):
    index.build(vectors)
    index.build(with_plan(vectors, {"index.type": "hnsw"}))
    assert oversampling(vectors) is None
    index.build(vectors)
    assert oversampling(vectors) == 4
    index.build(with_plan(vectors, {"index.type": "none"}))
    assert oversampling(vectors) is None


def test_the_contract_is_silent_until_the_index_is_valid(vectors, monkeypatch):
    """An app would read the whole table."""

    def fail(*_):
        raise ConfigError("interrupted")

    monkeypatch.setattr(partitioned, "build", fail)
    with pytest.raises(ConfigError):
        complete.build(vectors)
    assert oversampling(vectors) is None


def test_a_contract_of_an_earlier_version_learns_of_it(vectors):
    with vectors.engine.begin() as connection:
        connection.exec_driver_sql("alter table ragkit.contract drop column oversampling")
    assert oversampling(vectors) is None
    hnsw = with_plan(vectors, {"index.type": "hnsw"})
    index.build(hnsw)  # needs no change of the contract
    with vectors.engine.connect() as connection:
        names = {c["name"] for c in sa.inspect(connection).get_columns(CONTRACT.name, "ragkit")}
    assert "oversampling" not in names
    index.build(vectors)
    assert oversampling(vectors) == 4


def test_the_gate_of_the_database_sees_it(vectors):
    assert gates_of(vectors)["index on the new column"].observed == "missing"
    index.build(vectors)
    assert gates_of(vectors)["index on the new column"].observed == "valid"


def test_a_partitioned_table_has_one_in_each_partition(engine, plan):
    migration = expanded(engine, changed(plan, BINARY), TEXTS)
    rows = np.random.default_rng(1).normal(size=(len(TEXTS), 64))
    set_new(migration, rows)
    assert index.build(migration).valid
    assert oversampling(migration) == 4
    assert gates_of(migration)["index on the new column"].passed
    count = sa.text("select count(*) from pg_indexes where indexdef like '%bit_hamming_ops%'")
    with engine.connect() as connection:
        assert connection.scalar(count) == 6
        binding = as_served(connection, migration.new)
        found = nearest(connection, binding, rows[3], ["id"], 6)
    exact = np.argsort(-(rows / np.linalg.norm(rows, axis=1, keepdims=True)) @ rows[3]) + 1
    assert [row["id"] for row in found] == exact.tolist()


def test_each_filter_of_a_column_has_an_oversampling_of_its_own(engine, plan):
    migration = random_vectors(engine, changed(plan, {**BINARY, "table.where": "id <= 400"}), 500)
    assert migration.new.where
    index.build(migration)
    assert oversampling(migration) == 4
    with engine.connect() as connection:
        other = replace(migration.new, where="")
        assert as_served(connection, other).oversampling is None
