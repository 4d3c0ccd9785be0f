"""A round: each contender on a clone of its own, the order turned around, what fails left out."""

import pytest
import sqlalchemy as sa

from tests.bench.contenders import Contender, Scenario, ScriptFailed, script
from tests.bench.database import BenchServer
from tests.bench.peers.environments import CannotRun
from tests.bench.tables import TableShape

SHAPE = TableShape(50, 64)


@pytest.fixture(scope="module")
def bench_server(tmp_path_factory):
    with BenchServer(str(tmp_path_factory.mktemp("bench server"))) as server:
        yield server


def count_then_delete(clone):
    with clone.engine.begin() as connection:
        found = connection.scalar(sa.text("select count(*) from documents"))
        connection.execute(sa.text("delete from documents"))
    return {"rows": found, "seconds": 1.0}


def test_each_starts_from_the_whole_template_and_in_turn_first(bench_server):
    scenario = Scenario([Contender(name, SHAPE, count_then_delete) for name in "abc"], {})
    rounds = [scenario.play(bench_server, number) for number in range(2)]
    assert [[run["rows"] for run in runs.values()] for runs in rounds] == [[50] * 3] * 2
    assert [list(runs) for runs in rounds] == [["a", "b", "c"], ["c", "b", "a"]]
    assert all(run["server_cpu_seconds"] >= 0 for runs in rounds for run in runs.values())


@pytest.mark.parametrize(("error", "failed"), [(CannotRun, set()), (ScriptFailed, {"a"})])
def test_one_that_does_not_run_leaves_the_others(bench_server, error, failed):
    def stop(clone):
        raise error("no disk")

    scenario = Scenario([Contender("a", SHAPE, stop), Contender("b", SHAPE, count_then_delete)], {})
    assert list(scenario.play(bench_server, 0)) == ["b"]
    assert scenario.missing == {"a": "a: no disk"}
    assert scenario.failed == failed


def test_no_database_of_a_run_is_left(bench_server):
    Scenario([Contender("a", SHAPE, count_then_delete)], {}).play(bench_server, 0)
    with bench_server._admin.connect() as connection:
        names = connection.scalars(sa.text("select datname from pg_database")).all()
    assert not [name for name in names if name.startswith("run ")]


def test_a_script_that_fails_is_named_by_its_last_line(bench_server):
    wrong = script("naive", "peers.naive", SHAPE, dimension=99_999)
    with bench_server.clone(SHAPE) as clone, pytest.raises(ScriptFailed, match="16000"):
        wrong.run(clone)


def test_an_hnsw_is_built_in_the_template(bench_server):
    with bench_server.clone(TableShape(50, 64, hnsw=True)) as clone, clone.engine.connect() as c:
        assert c.scalar(sa.text("select indisvalid from pg_index join pg_class on oid = indexrelid "
                                "where relname = 'documents_hnsw'"))  # fmt: skip
