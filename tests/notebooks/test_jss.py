"""params/jss.yaml as its user runs it: Cloud SQL, Vertex AI, Secret Manager and gcloud are
stand-ins on loopback, the clients that speak to them are Google's.

With the real vectors of ../shared/data, where they are, else with made-up ones.
"""

import csv
import json
import subprocess
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.deploy.vendor import build_source
from ragkit.sandbox.folders import Folders
from ragkit.sandbox.postgres import Postgres
from ragkit.sandbox.sample import amenities, sample_rows
from tests.conftest import PYTHON, ROLE, ROOT, environment
from tests.stand_ins import cloud_sql, credentials, secret_manager, vertex
from tests.stand_ins.gcloud import IDENTITY, Cloud

OLD, NEW, FN = "textembedding-gecko@001", "text-embedding-005", "rag-jss-test-function"
CANARY = "canary-password-7f3a"
CANARY_LIMITS = """
canary:
  errors: 0.4  # by which a hundred answers decide
  empty: 0.4
  slower: 20
  per_second: 50
"""
SECRET = "projects/acme/secrets/jss-password"
SHARED = ROOT.parent / "shared" / "data"
FILES = {model: SHARED / f"amenities_{model}.csv" for model in (OLD, NEW)}
REAL = all(file.exists() for file in FILES.values())
ACCOUNT = "rag@acme.iam.gserviceaccount.com"


class Site:
    """The user's project: a database, models, secrets, a deployed function."""

    def __init__(
        self, folder: Path, server: Postgres, cloud: Cloud, settings: dict, models: vertex.Vertex
    ):
        self.folder, self.server, self.cloud, self.models = folder, server, cloud, models
        self.env = environment(**settings, **cloud.env)

    def run(self, params: Path) -> tuple[subprocess.CompletedProcess, Path]:
        runs = self.folder / "runs"
        before = set(runs.glob("*")) if runs.exists() else set()
        done = self.command("run", "--params", params, "--runs", runs)
        (fresh,) = set(runs.glob("*")) - before
        return done, fresh

    def command(self, *arguments: object) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [PYTHON, "-m", "ragkit", *map(str, arguments)], env=self.env, cwd=ROOT,
            capture_output=True, text=True, check=False, timeout=280,
        )  # fmt: skip
        with (self.folder / "output.txt").open("a") as file:
            file.write(done.stdout + done.stderr)
        return done

    def curl(self) -> httpx.Response:
        return httpx.post(self.cloud.read()["url"], json={"name": "restaurants"}, timeout=30)

    def column(self, name: str) -> dict[int, list[float]]:
        engine = self.server.engine(database="assistantdemo")
        with engine.connect() as connection:
            query = sa.text(f"select id, {name}::text from amenities")
            return {row[0]: json.loads(row[1]) for row in connection.execute(query)}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("a project")
    server = Postgres(Folders.at(folder / "home"))
    server.start()
    try:
        with (
            vertex.serving() as models,
            credentials.serving(folder / "key.json") as key,
            secret_manager.serving(
                {"projects/acme/secrets/jss-password/versions/latest": CANARY}
            ) as safe,
        ):
            url = database(server, models)
            with cloud_sql.serving(url.query["unix_sock"]) as instance:
                endpoints = {
                    "VERTEX_ENDPOINT": models.address, "SECRET_MANAGER_ENDPOINT": safe,
                    "SQLADMIN_ENDPOINT": instance.settings["SQLADMIN_ENDPOINT"], **key,
                }  # fmt: skip
                with Cloud(folder / "cloud", {"DB_PASS": CANARY}, endpoints).serving() as cloud:
                    settings = {
                        "INSTANCE_CONNECTION_NAME": "acme:us-central1:jss", "DB_USER": ROLE,
                        "DB_NAME": "assistantdemo", "DB_PASS_SECRET": "jss-password",
                        "GCP_PROJECT_ID": "acme", "GCP_LOCATION": "us-central1",
                        "SERVICE_ACCOUNT": ACCOUNT, **endpoints,
                    }  # fmt: skip
                    yield Site(folder, server, cloud, settings, models)
    finally:
        server.remove()


def database(server: Postgres, models: vertex.Vertex) -> sa.URL:
    """The solution's database, whose user needs a password, filled by the old model."""
    server.create("assistantdemo", owner=ROLE)
    admin = server.engine(database="assistantdemo")
    if REAL:
        for model, file in FILES.items():
            models.record(model, file)
        with FILES[OLD].open(newline="", encoding="utf-8") as file:
            rows = [{k: v or None for k, v in row.items()} for row in csv.DictReader(file)]
        rows = [row | {"embedding": json.loads(row["embedding"])} for row in rows]
    else:
        rows = [row | {"embedding": vertex.made(OLD, row["content"])} for row in sample_rows()]
    table = amenities(768)
    with admin.begin() as connection:
        table.create(connection)
        connection.execute(sa.insert(table), rows)
        connection.exec_driver_sql(f'alter table amenities owner to "{ROLE}"')
        connection.exec_driver_sql(f"alter role \"{ROLE}\" password '{CANARY}'")
        rules = Path(connection.scalar(sa.text("show hba_file")))
        rules.write_text(f'local all "{ROLE}" scram-sha-256\n' + rules.read_text())
        connection.execute(sa.text("select pg_reload_conf()"))
    admin.dispose()
    return server.url(ROLE, "assistantdemo")


@pytest.fixture(scope="module")
def before(site):
    """Step 2 of the mission: the function as it is, on the old model."""
    source = build_source(site.folder / "source")
    subprocess.run(
        ["gcloud", "functions", "deploy", FN, "--gen2", "--region=us-central1",
         "--runtime=python312", f"--source={source}", "--entry-point=hello_http",
         "--trigger-http", "--allow-unauthenticated", f"--service-account={ACCOUNT}",
         f"--set-env-vars=DB_USER={ROLE},DB_NAME=assistantdemo,EMBEDDING_MODEL={OLD},"
         "INSTANCE_CONNECTION_NAME=acme:us-central1:jss",
         "--set-secrets=DB_PASS=jss-password:latest"],
        env=site.env, check=True,
    )  # fmt: skip
    answer = site.curl()
    assert (answer.status_code, answer.headers["X-Embedding-Model"]) == (200, OLD), answer.text
    return answer.json()


UNJUDGED = "gates: {override: nobody judges here}\n"


def jss_yaml() -> str:
    """params/jss.yaml with the database that its user means."""
    text = (ROOT / "params" / "jss.yaml").read_text()
    named = text.replace('expect: ""', "expect: assistantdemo at acme:us-central1:jss")
    assert named != text
    return named


@pytest.fixture(scope="module")
def dry(site, before):
    """All but the last step, by the command line."""
    file = site.folder / "jss.yaml"
    file.write_text(jss_yaml() + UNJUDGED)
    params = ("--params", file)
    return site.command("backfill", *params), site.command("cutover", *params)


@pytest.fixture(scope="module")
def migrated(site, dry):
    """The same with `apply: true`, and somebody who asks all the while."""
    params = site.folder / "jss apply.yaml"
    applied = jss_yaml().replace("apply: false", "apply: true")
    params.write_text(applied + UNJUDGED + CANARY_LIMITS)
    answers, stop = [], threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answers.append(site.curl())
            time.sleep(0.2)

    asking = threading.Thread(target=ask)
    asking.start()
    done, folder = site.run(params)
    stop.set()
    asking.join()
    return done, folder, answers


def test_a_dry_run_fills_the_column_shows_the_commands_and_switches_nothing(site, dry):
    filled, shown = dry
    assert filled.returncode == 0, filled.stderr
    assert shown.returncode == 1
    assert "set app.apply: true to deploy text-embedding-005" in shown.stderr
    assert "--to-revisions=NEW=5,OLD=95" in shown.stdout
    assert set(site.cloud.read()["traffic"]) == {f"{FN}-00001-abc"}
    assert len(site.column("embedding_005")) == len(site.column("embedding"))


def test_the_migration_ends_on_the_new_model_and_nobody_noticed(site, migrated):
    done, folder, answers = migrated
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(answers) > 20
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["X-Embedding-Model"] for answer in answers} == {OLD, NEW}
    after = site.curl()
    assert after.headers["X-Embedding-Model"] == NEW
    assert [set(row) for row in after.json()["results"]] == [{"name", "description"}] * 3
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["verdict"] == "INCONCLUSIVE"  # no judged questions: overridden, and recorded
    shown = (folder / "01_inspect.html").read_text()
    assert "2027-04-01" in shown
    assert "gcloud services enable aiplatform.googleapis.com" in shown


def test_the_cost_is_on_record(site, migrated):
    engine = site.server.engine(database="assistantdemo")
    with engine.connect() as connection:
        row = connection.execute(sa.text("select * from ragkit.spending")).one()
    texts = len(site.column("embedding"))
    assert (row.model, row.requests) == (NEW, -(-texts // 250))
    assert row.tokens > texts
    assert row.usd == pytest.approx(row.tokens * 0.10 / 1e6)


@pytest.mark.skipif(not REAL, reason="the real vectors of ../shared/data are not here")
def test_the_real_vectors_arrive_and_compare_as_is_known_of_them(site, migrated):
    with FILES[NEW].open(newline="", encoding="utf-8") as file:
        wanted = {int(row["id"]): json.loads(row["embedding"]) for row in csv.DictReader(file)}
    stored = site.column("embedding_005")
    assert set(stored) == set(wanted)
    for key, vector in wanted.items():
        np.testing.assert_allclose(stored[key], vector, rtol=1e-6, atol=1e-9)
    figures = json.loads((migrated[1] / "comparison.json").read_text())
    near = figures["neighbours"]
    assert (near["rows"], near["duplicates"]) == (120, 7)
    assert figures["overlap"]["mean"] == pytest.approx(0.72, abs=0.005)
    assert figures["overlap"]["low"] == pytest.approx(0.69, abs=0.015)
    assert figures["overlap"]["high"] == pytest.approx(0.75, abs=0.015)
    assert figures["cka"]["mean"] == pytest.approx(0.93, abs=0.005)
    assert figures["cka"]["low"] < 0.93 < figures["cka"]["high"]
    assert near["cosine"] == pytest.approx(0.027, abs=0.001)
    assert figures["cutoff"] is None  # it takes questions


def test_rolled_back_in_one_step(site, migrated):
    done = site.command("rollback", "--params", site.folder / "jss apply.yaml")
    assert done.returncode == 0, done.stderr
    assert site.curl().headers["X-Embedding-Model"] == OLD


def test_no_secret_is_anywhere(site, migrated):
    """In no page, log, command line, output or state that a run leaves."""
    left = [file for file in site.folder.rglob("*") if file.is_file()]
    own = {site.cloud.folder / "state.json"}  # the stand-in's own store of secrets
    data = site.folder / "home"
    read = [file for file in left if file not in own and data not in file.parents]
    assert len(read) > 30
    for secret in (CANARY, IDENTITY, credentials.TOKEN):
        assert [str(f) for f in read if secret.encode() in f.read_bytes()] == []
