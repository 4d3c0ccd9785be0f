import dataclasses

import pytest
import sqlalchemy as sa

from ragkit.embedding.catalogue import find_model
from ragkit.errors import ConfigError
from ragkit.migration import phases
from ragkit.migration.migration import Migration
from ragkit.migration.preview.steps import plan_statements
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.migration.schema.index.choice.width import is_too_wide, require_index, shorter_names
from tests.conftest import TEXTS, changed, make_plan, make_table, with_plan

WIDE = "tests.stand_ins.wide:Wide"


@pytest.fixture
def wide(engine) -> Migration:
    plan = make_plan({"new.model": WIDE})
    make_table(engine, plan, TEXTS)
    return Migration.open(plan, engine)


def of_dimension(migration, dimension, **changes):
    space = dataclasses.replace(migration.new.space, dimension=dimension)
    new = dataclasses.replace(migration.new, space=space)
    plan = changed(migration.plan, {f"index.{name}": value for name, value in changes.items()})
    return dataclasses.replace(migration, known_new=new, plan=plan)


@pytest.mark.parametrize(
    ("index_type", "dimension", "expected"),
    [
        ("hnsw", 2001, False), ("hnsw", 4000, False), ("hnsw", 4001, True),
        ("ivfflat", 4000, False), ("ivfflat", 4001, True),
        ("binary", 16_000, False), ("none", 16_000, False),
    ],
)  # fmt: skip
def test_the_server_and_this_module_agree(migration, engine, index_type, dimension, expected):
    """By an index on an empty column."""
    wide = of_dimension(migration, dimension, type=index_type)
    assert is_too_wide(wide) is expected
    if expected:
        with pytest.raises(ConfigError, match=f"{dimension:,} dimensions"):
            expand(wide)
        with engine.begin() as connection:
            connection.exec_driver_sql(f"create table ragkit_probe (v halfvec({dimension}))")
        sql = f"create index on ragkit_probe using {index_type} (v halfvec_cosine_ops)"
        with pytest.raises(sa.exc.DBAPIError, match="cannot have more than 4000"):
            engine.connect().exec_driver_sql(sql)
    else:
        expand(wide)
        assert index.build(wide).valid is (index_type != "none")


def test_it_is_refused_before_anything_is_changed(wide, engine):
    with pytest.raises(ConfigError) as told:
        expand(wide)
    for part in ("4,096 dimensions", "hnsw takes 4,000", "index.type: binary", "index.type: none",
                 "nothing was changed"):  # fmt: skip
        assert part in str(told.value)
    assert wide.phase() == phases.PLANNED
    assert "ragkit" not in sa.inspect(engine).get_schema_names()


def test_a_pgvector_without_bits_is_refused_before_anything_is_changed(migration, engine, server):
    """0.6, as far as its functions show it."""
    admin = server.engine(database=engine.url.database)
    with admin.begin() as connection:
        for kind in ("vector", "halfvec"):
            function = f"function binary_quantize({kind})"
            connection.exec_driver_sql(f"alter extension vector drop {function}")
            connection.exec_driver_sql(f"drop {function}")
    admin.dispose()
    with pytest.raises(ConfigError, match="ALTER EXTENSION vector UPDATE"):
        expand(with_plan(migration, {"index.type": "binary"}))
    assert "ragkit" not in sa.inspect(engine).get_schema_names()


def test_a_column_that_was_filled_before_is_told_too(wide):
    """By an earlier version, or with another index.type."""
    expand(with_plan(wide, {"index.type": "none"}))
    with pytest.raises(ConfigError, match="binary"):
        index.build(wide)
    with pytest.raises(ConfigError, match="binary"):
        expand(wide)


def test_an_index_that_cannot_be_is_not_told_as_a_step(wide):
    def told(migration):
        return [s.sql for s in plan_statements(migration, "", "") if "create index" in s.sql]

    assert told(wide) == []
    [sql] = told(with_plan(wide, {"index.type": "binary"}))
    assert sql.endswith("::bit(4096)) bit_hamming_ops)")


def test_shorter_outputs_that_an_index_takes_are_named(wide):
    model = dataclasses.replace(find_model("gemini-embedding-001"), shorter=(768, 3072, 8192))
    assert shorter_names(model) == ["gemini-embedding-001/3072", "gemini-embedding-001/768"]
    short = find_model("gemini-embedding-001/768")
    assert "gemini-embedding-001/1536" in shorter_names(short)
    wide_model = with_plan(of_dimension(wide, 8192), {"new.model": "gemini-embedding-001"})
    with pytest.raises(ConfigError, match="gemini-embedding-001/1536 or gemini-embedding-001/768"):
        require_index(wide_model)


def test_of_a_model_that_makes_any_dimension_the_halves_are_named_as_a_plan_names_them():
    """A plan can name them: find_model knows each."""
    names = shorter_names(find_model("openai:qwen3-embedding/4096"))
    assert names == [f"openai:qwen3-embedding/{dimension}" for dimension in (2048, 1024, 512)]
    facts = {"openai:qwen3-embedding": {"dimension": 4096, "shorter": (1024,)}}
    [named] = shorter_names(find_model("openai:qwen3-embedding", facts))
    assert find_model(named, facts).dimension == 1024
