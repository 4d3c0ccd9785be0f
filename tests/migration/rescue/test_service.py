"""A service that is brought to the new model before its column is full."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ragkit.errors import ConfigError
from ragkit.migration import phases
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.rescue.service import deploy_new_model, end_rescue, start_rescue
from ragkit.migration.rescue.text_index import MIN_ROWS
from ragkit.migration.schema import index
from ragkit.retrieval.rescue.candidates.bridge import Bridge
from tests.conftest import ROOT, changed, embedder_of, make_plan, random_vectors, with_plan


def test_a_filled_column_with_its_index_waits_for_no_text_index(engine, plan, new_embedder):
    large = random_vectors(engine, plan, MIN_ROWS + 500)
    list(run_backfill(large, new_embedder))
    assert large.phase() == phases.BACKFILLED
    assert start_rescue(large, new_embedder).text_index
    end_rescue(large)
    assert index.build(large).valid
    assert not start_rescue(large, new_embedder).text_index


def test_an_app_of_a_fixed_column_is_not_rescued(migration):
    """It does not search by ragkit, which alone knows of a rescue."""
    by_view = with_plan(migration, {"app.way": "view", "database.url": "postgresql+pg8000://a/b"})
    with pytest.raises(ConfigError, match=r"set app\.way: column"):
        deploy_new_model(by_view, None, "tea")


class TestRepeated:
    @pytest.fixture
    def bridge(self, migration):
        shape = migration.new.space.dimension, migration.old.space.dimension
        return Bridge("ridge", 9, np.eye(*shape, dtype=np.float32))

    def test_several_at_once_are_as_one(self, migration, new_embedder):
        with ThreadPoolExecutor(4) as pool:
            started = [pool.submit(start_rescue, migration, new_embedder) for _ in range(4)]
            assert len({each.result() for each in started}) == 1

    def test_the_bridge_stays_until_there_is_a_better_one(self, migration, new_embedder, bridge):
        start_rescue(migration, new_embedder, bridge)
        assert start_rescue(migration, new_embedder, keep_bridge=True).bridge == "ridge"
        assert start_rescue(migration, new_embedder).bridge == "none"

    def test_a_bridge_that_cannot_be_verified_does_not_stay(self, migration, new_embedder, bridge):
        start_rescue(migration, new_embedder, bridge)
        with migration.engine.begin() as connection:
            connection.exec_driver_sql("update ragkit.rescue set bridge = '\\x00'")
        assert start_rescue(migration, new_embedder, keep_bridge=True).bridge == "none"


def test_an_app_of_ones_own_calls_the_library_as_the_docs_say(engine, monkeypatch, capsys):
    page = (ROOT / "docs" / "own-database.md").read_text()
    code = next(b for b in page.split("```") if "SearchService(engine" in b)
    plan = changed(make_plan(), {
        "table.name": "documents", "table.content": "body", "table.label": "title",
        "new.model": "wordllama-64",
    })  # fmt: skip
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "create table documents (id int primary key, title text, body text, "
            "embedding vector(256)); insert into documents values "
            "(1, 'Quiet Room', 'A silent space, quiet all day.', null), (2, 'Bar', 'Music.', null)"
        )
    start_rescue(Migration.open(plan, engine), embedder_of("wordllama-64"))
    monkeypatch.setenv("DATABASE_URL", engine.url.render_as_string(hide_password=False))
    exec(code.removeprefix("python").replace("text-embedding-005", "wordllama-64"), {})
    assert capsys.readouterr().out == "rescue  ['Quiet Room']\n"
