"""python -m ragkit, as a person or a job would call it: real processes, exit codes, output."""

import json
import re
import subprocess
import time

import httpx
import psutil
import pytest
import sqlalchemy as sa
import yaml

from ragkit.migration.plan import Plan
from ragkit.migration.plan.files.load import read_sections
from ragkit.migration.plan.files.reference import reference
from tests import commands
from tests.conftest import PYTHON, ROLE, ROOT, TEXTS, environment, free_port, make_plan, make_table
from tests.stand_ins import vertex as vertex_stand_in

CANARY = "canary-password"
JSS = ROOT / "params" / "jss.yaml"


OWN = yaml.safe_dump(make_plan().model_dump(by_alias=True))


def ragkit(*arguments, code=0, **env) -> str:
    output = commands.output(commands.run(*arguments, code=code, **env))
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
        make_table(engine, Plan.from_file(JSS), TEXTS)
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
    assert first.startswith("database: assistant demo at ")
    assert "long texts: 0 of 6 texts are above 2,048 tokens, by an estimate of 4 bytes" in first
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
    assert re.search(r"amenities +embedding +768 +6 ", inspected)
    assert "price as of: 2026-11-01" in inspected
    assert "phase: planned\nrows done: 0 of 6\n" in ragkit("status", **env)


def as_json(command, *arguments, code=0, **env):
    """The document, which is all that is on stdout."""
    done = commands.run(command, "--json", *arguments, code=code, **env)
    assert CANARY not in commands.output(done)
    return json.loads(done.stdout)


def test_every_step_is_one_json_document(jss, tmp_path):
    env, *_ = jss
    own, strict = ("--run-dir", tmp_path), ("--set", "evaluation.k=3", "--set", "gates.override=")
    inspected = as_json("inspect", **env)
    assert inspected["columns"][0]["dimension"] == 768
    assert inspected["cost"]["usd"] < 0.0001
    assert inspected["problems"] == sum(c["passed"] is False for c in inspected["checks"])
    filled = as_json("backfill", *own, **env)
    assert (filled["progress"]["done"], filled["progress"]["total"]) == (6, 6)
    assert filled["index"]["valid"] is True
    assert filled["costs"][0]["usd"] > 0
    assert filled["dead_letters"] == []
    assert as_json("status", **env)["status"]["phase"] == "backfilled"
    compared = as_json("compare", *own, *strict, code=1, **env)
    assert compared["error"]["type"] == "GateError", compared["error"]
    assert compared["verdict"] == "INCONCLUSIVE"
    assert {gate["name"] for gate in compared["gates"]} >= {"coverage", "triggers"}
    manual = (*own, "--set", "app.target=manual")
    assert as_json("retire", *manual, **env)["retirement"]["done"] is False
    for command in ("cutover", "rollback", "ask"):
        refused = as_json(command, *manual, code=1, **env)
        assert refused["error"]["message"]


def test_texts_that_are_too_long_are_told_before_one_is_paid_for(jss):
    env, engine, _ = jss
    with engine.begin() as connection:
        connection.exec_driver_sql("update amenities set content = repeat('long ', 2000)")
    inspected = ragkit("inspect", **env)
    assert "too long: 6" in inspected
    assert "6 of 6 texts (100.0%) are above 2,048 tokens" in inspected
    assert "set new.long_texts: pieces" in inspected
    output = ragkit("backfill", **env)
    told, added, first = (output.index(s) for s in ("dead letters", "column emb", "0 of 6 rows"))
    assert told < added < first
    assert "new.long_texts" not in ragkit("inspect", "--set", "new.long_texts=pieces", **env)
    output = ragkit("backfill", "--set", "new.long_texts=pieces", **env)
    assert "6 of 6 rows" in output


def test_a_cut_over_without_a_comparison_is_refused(jss, tmp_path):
    env, *_ = jss
    params = tmp_path / "strict.yaml"
    strict = read_sections(JSS) | {"gates": {}, "app": {"target": "manual"}}
    params.write_text(yaml.safe_dump(strict))
    ragkit("backfill", "--params", params, **env)
    said = ragkit("cutover", "--params", params, code=1, **env)
    assert "set database.expect: assistant demo at a Unix socket" in said
    named = ("--set", "database.expect=assistant demo at a Unix socket")
    said = ragkit("cutover", "--params", params, *named, code=1, **env)
    assert "GateError: NO-GO: comparison: none yet" in said


@pytest.mark.parametrize(
    ("params", "env", "says"),
    [
        ("tabel: x\n", {}, "did you mean table?"),
        ("table: 7\nk: no\n", {}, "4 fault(s)"),
        (OWN, {}, "set INSTANCE_CONNECTION_NAME, DB_USER, DB_NAME"),
        (OWN, {"DATABASE_URL": f"postgresql://u:{CANARY}@127.0.0.1:9/d"}, "cannot be reached"),
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
    assert (tmp_path / "out" / "ragkit" / "retrieval" / "service.py").exists()
    assert not (tmp_path / "out" / "ragkit" / "migration").exists()


def test_an_unwritable_sandbox(tmp_path):
    (tmp_path / "file").write_text("")
    output = ragkit("sandbox", "up", code=1, RAGKIT_SANDBOX=str(tmp_path / "file" / "home"))
    assert "cannot write the sandbox's folder" in output


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ()])
def test_help_is_on_stdout_and_lists_the_commands(arguments):
    result = commands.run(*arguments)
    assert result.stderr == ""
    names = ("inspect", "backfill", "follow", "compare", "cutover", "rollback", "retire", "status",
             "run", "lab", "params", "vendor", "sandbox")  # fmt: skip
    assert all(f"\n  {name} " in result.stdout for name in names)


def test_an_error_of_the_command_line_is_one_line_and_no_traceback(tmp_path):
    output = ragkit("lab", "--no-browser", code=2)
    assert "No such option" in output
    output = ragkit("params", "--into", tmp_path / "none.md", code=1)
    assert output.startswith("FileNotFoundError")
    output = ragkit("sandbox", "down", code=1, RAGKIT_SANDBOX=str(tmp_path), RAGKIT_PORT="web")
    assert "RAGKIT_PORT must be a port number, got 'web'" in output
    output = ragkit("vendor", ROOT, code=1)
    assert "is no vendored copy" in output
    assert (ROOT / "ragkit" / "runbook").is_dir()


def test_params_prints_the_reference():
    assert ragkit("params") == reference()


def test_set_changes_any_field_and_a_wrong_path_is_refused(jss):
    env, *_ = jss
    odd = ("--set", "new.column=embedding_x")
    assert "migration: public.amenities: embedding -> embedding_x" in ragkit("status", *odd, **env)
    refused = ragkit("status", "--set", "gates.margn=0.1", "--set", "margin=1", code=1, **env)
    assert "2 fault(s)" in refused
    assert "did you mean gates.margin?" in refused


def test_rows_of_another_table_are_refused_before_anything_is_embedded(jss, tmp_path):
    """Integer keys of somebody's table, and judgements of the airport."""
    env, engine, vertex = jss
    data = ROOT / "ragkit" / "sandbox" / "data"
    own = ("--set", f"evaluation.questions={data / 'questions.jsonl'}",
           "--set", f"evaluation.qrels={data / 'qrels.tsv'}")  # fmt: skip
    calls = len(vertex.calls)
    for command in ("inspect", "backfill"):
        assert "rows that do not exist" in ragkit(command, *own, code=1, **env)
    assert len(vertex.calls) == calls
    assert "embedding_005" not in {c["name"] for c in sa.inspect(engine).get_columns("amenities")}


def test_lab_opens_jupyterlab_on_ones_own_params_file(tmp_path):
    """The kernels' environment names the file; no sandbox is started for another database."""
    params, port = tmp_path / "yours.yaml", free_port()
    params.write_text(OWN)
    options = ["--no-browser", "--allow-root", f"--port={port}", "--IdentityProvider.token=t"]
    process = subprocess.Popen(
        [PYTHON, "-m", "ragkit", "lab", "--params", params, "--", *options],
        env=environment(HOME=str(tmp_path)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        url, deadline = f"http://127.0.0.1:{port}/api/contents?token=t", time.monotonic() + 60
        while True:
            assert process.poll() is None
            assert time.monotonic() < deadline
            try:
                names = {entry["name"] for entry in httpx.get(url).json()["content"]}
                break
            except httpx.TransportError:
                time.sleep(0.2)
        assert "01_inspect.ipynb" in names
        assert psutil.Process(process.pid).environ()["RAGKIT_PARAMS"] == str(params)
    finally:
        process.terminate()
        process.wait(30)
