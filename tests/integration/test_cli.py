"""python -m ragkit, as a person or a job would call it: real processes, exit codes, output."""

import subprocess

import pytest
import sqlalchemy as sa
import yaml

from ragkit.migration.plan import Plan, parameters
from tests.conftest import PYTHON, ROLE, ROOT, TEXTS, environment, make_table
from tests.stand_ins import vertex as vertex_stand_in

CANARY = "canary-password"


def ragkit(*arguments, code=0, **env) -> str:
    done = subprocess.run(
        [PYTHON, "-m", "ragkit", *map(str, arguments)],
        env=environment(**env), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    output = done.stdout + done.stderr
    assert done.returncode == code, output
    assert "Traceback" not in output
    assert CANARY not in output
    return output


@pytest.fixture
def jss(server):
    """A stock Jump Start Solution: gecko@001 vectors of 768 dimensions, by the stand-in."""
    name = "assistant demo"
    server.create(name, owner=ROLE)
    engine = server.engine(ROLE, name)
    with vertex_stand_in.serving() as vertex, pytest.MonkeyPatch.context() as patch:
        env = {"GCP_PROJECT_ID": "p", "VERTEX_ENDPOINT": vertex.address}
        for key, value in env.items():
            patch.setenv(key, value)
        make_table(engine, Plan(old_model="textembedding-gecko@001"), TEXTS)
        yield (
            {"DATABASE_URL": engine.url.render_as_string(), "DB_PASS": CANARY, **env},
            engine,
            vertex,
        )
    engine.dispose()
    with server.engine().connect() as admin:
        admin.connection.rollback()
        admin.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(
            f'drop database "{name}" with (force)'
        )


def test_backfill_is_the_missions_migration_script(jss):
    """With nothing but the environment: embedding_005 is added and filled, embedding untouched."""
    env, engine, vertex = jss
    first = ragkit("backfill", **env)
    assert "column embedding_005: added" in first
    assert "6 of 6 rows" in first
    with engine.connect() as connection:
        counts = sa.text("select count(embedding), count(embedding_005) from amenities")
        assert connection.execute(counts).one() == (6, 6)
    calls = [call for call in vertex.calls if call[0] == "text-embedding-005"]
    assert calls == [("text-embedding-005", {"RETRIEVAL_DOCUMENT"}, 6)]
    again = ragkit("backfill", **env)
    assert "column embedding_005: was there" in again
    assert len([c for c in vertex.calls if c[0] == "text-embedding-005"]) == 1


def test_inspect_and_status(jss):
    env, *_ = jss
    inspected = ragkit("inspect", **env)
    assert "column: embedding  dimension: 768  rows: 6" in inspected
    assert "price as of: 2026-11-01" in inspected
    assert "phase: planned  done: 0  total: 6" in ragkit("status", **env)


def test_a_cut_over_without_a_comparison_is_refused(jss, tmp_path):
    env, *_ = jss
    params = tmp_path / "strict.yaml"
    strict = {**parameters(ROOT / "params" / "jss.yaml"), "override": "", "app": "manual"}
    params.write_text(yaml.safe_dump(strict))
    ragkit("backfill", "--params", params, **env)
    said = ragkit("cutover", "--params", params, code=1, **env)
    assert "GateError: NO-GO: comparison: none yet" in said


@pytest.mark.parametrize(
    ("params", "env", "says"),
    [
        ("tabel: x\n", {}, "did you mean table?"),
        ("table: 7\nk: no\n", {}, "2 fault(s)"),
        ("database: env\napp: manual\n", {}, "set INSTANCE_CONNECTION_NAME, DB_USER, DB_NAME"),
        (
            "database: env\napp: manual\n",
            {"DATABASE_URL": f"postgresql://u:{CANARY}@127.0.0.1:9/d"},
            "cannot be reached",
        ),
    ],
)
def test_errors_are_one_line_and_exit_1(tmp_path, params, env, says):
    file = tmp_path / "p.yaml"
    file.write_text(params)
    output = ragkit("status", "--params", file, code=1, **env)
    assert says in output
    assert len(output.strip().splitlines()) == 1


def test_a_missing_params_file(tmp_path):
    assert "there is no file" in ragkit("status", "--params", tmp_path / "no.yaml", code=1)


def test_vendor(tmp_path):
    ragkit("vendor", tmp_path / "out")
    ragkit("vendor", tmp_path / "out")
    assert (tmp_path / "out" / "ragkit" / "service.py").exists()
    assert not (tmp_path / "out" / "ragkit" / "migration").exists()


def test_an_unwritable_sandbox(tmp_path):
    (tmp_path / "file").write_text("")
    output = ragkit("sandbox", "up", code=1, RAGKIT_SANDBOX=str(tmp_path / "file" / "home"))
    assert "cannot write the sandbox's folder" in output


def test_help_lists_the_verbs():
    output = ragkit("--help")
    for verb in "inspect backfill compare cutover rollback retire status run vendor".split():  # noqa: SIM905
        assert verb in output
