"""The real function: a built source folder, under the real functions-framework, over real HTTP."""

import json
import subprocess
import time
from contextlib import contextmanager

import httpx
import pytest
import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR

from ragkit import contract
from ragkit.contract import Binding, Space
from ragkit.embedders import load
from ragkit.embedders.vertex import VertexEmbedder
from ragkit.migration.plan import Plan
from ragkit.models import find
from ragkit.sandbox.folders import Folders
from ragkit.sandbox.postgres import Postgres
from tests.conftest import PYTHON, ROLE, TEXTS, free_port, make_table
from tests.stand_ins import vertex as vertex_stand_in

CANARY = "canary-password"


@contextmanager
def served(source, python=PYTHON, **settings):
    """functions-framework's own command with nothing but `settings` in the environment."""
    port = free_port()
    log = (source.parent / "function.log").open("w+")
    process = subprocess.Popen(
        [python, "-P", "-m", "functions_framework", "--target=hello_http", f"--port={port}"],
        cwd=source, env={"PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1", **settings},
        stdout=log, stderr=log,
    )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=40) as client:
            deadline = time.monotonic() + 20
            while True:
                try:
                    client.request("PUT", "/")
                    break
                except httpx.TransportError:
                    assert process.poll() is None, (source.parent / "function.log").read_text()
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
            yield client
    finally:
        process.terminate()
        process.wait(10)
        log.close()


@pytest.fixture(scope="module")
def stock(server):
    """amenities of 256 dimensions, no contract, the extra mapping for the local model."""
    server.create("function", owner=ROLE)
    engine = server.engine(ROLE, "function")
    make_table(engine, Plan(), TEXTS)
    yield engine
    engine.dispose()


def settings(engine, **more):
    return {
        "DATABASE_URL": engine.url.render_as_string(),
        "DB_PASS": CANARY,
        "EMBEDDING_MODEL": "wordllama-256",
        "STOCK_COLUMNS": "wordllama-256=embedding",
        **more,
    }


@pytest.fixture(scope="module")
def client(source, stock):
    with served(source, **settings(stock)) as client:
        yield client


class TestRequests:
    def test_the_answer_is_the_missions(self, client):
        answer = client.post("/", json={"name": "a silent room"})
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("application/json")
        assert answer.text.startswith(
            '{"results":[{"description":"A silent space.","name":"Quiet Room"},'
        )
        assert len(answer.json()["results"]) == 3

    def test_the_query_string_serves_too(self, client):
        by_body = client.post("/", json={"name": "champagne"}).json()
        assert client.post("/?name=champagne").json() == by_body
        assert client.get("/?name=champagne").json() == by_body
        assert len(client.get("/?name=champagne&top_k=5").json()["results"]) == 5

    @pytest.mark.parametrize("top_k", [1, 6, 50, "4"])
    def test_top_k(self, client, top_k):
        answer = client.post("/", json={"name": "train", "top_k": top_k})
        assert len(answer.json()["results"]) == min(int(top_k), len(TEXTS))

    @pytest.mark.parametrize(
        ("body", "says"),
        [
            ({}, '"name"'),
            ({"name": ""}, "not empty"),
            ({"name": " \n"}, "not empty"),
            ({"name": 7}, '"name"'),
            ({"name": "x" * 2001}, "at most 2000 characters, got 2001"),
            ({"name": "x", "top_k": 0}, "from 1 to 50"),
            ({"name": "x", "top_k": 51}, "from 1 to 50"),
            ({"name": "x", "top_k": "many"}, "from 1 to 50"),
            ({"name": "x", "top_k": 2.5}, "from 1 to 50"),
            ({"name": "x", "top_k": True}, "from 1 to 50"),
            (["x"], "JSON object"),
        ],
    )
    def test_bad_requests(self, client, body, says):
        answer = client.post("/", json=body)
        assert answer.status_code == 400
        assert says in answer.json()["error"]

    @pytest.mark.parametrize("body", [b"name=x", b"{", b'{"name": "\xff\xfe"}'])
    def test_a_body_that_is_no_json(self, client, body):
        answer = client.post("/", content=body)
        assert answer.status_code == 400
        assert "JSON object" in answer.json()["error"]

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
    def test_wrong_methods(self, client, method):
        answer = client.request(method, "/", json={"name": "x"})
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, POST")
        assert "expected POST" in answer.json()["error"]

    def test_a_question_in_any_script(self, client):
        assert client.post("/", json={"name": "レストラン 🍣"}).status_code == 200

    def test_quotes_are_a_question_like_any_other(self, client):
        assert client.post("/", json={"name": "'; drop table amenities; --"}).status_code == 200


class TestContract:
    def test_healthz_says_that_there_is_none(self, client):
        assert client.get("/healthz").json() == {
            "contract": "none", "coverage": 1.0, "column": "embedding", "model": "wordllama-256",
        }  # fmt: skip

    def test_the_missions_mapping_holds_on_a_stock_database(self, server, source):
        """gecko@001 → embedding, 005 → embedding_005, by the real Google client."""
        server.create("stock", owner=ROLE)
        engine = server.engine(ROLE, "stock")
        with vertex_stand_in.serving() as vertex, engine.begin() as connection:
            env = {"GCP_PROJECT_ID": "p", "VERTEX_ENDPOINT": vertex.address}
            gecko = VertexEmbedder(find("textembedding-gecko@001"), env)
            table = sa.Table(
                "amenities", sa.MetaData(),
                sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text),
                sa.Column("description", sa.Text), sa.Column("content", sa.Text),
                sa.Column("embedding", VECTOR(768)),
            )  # fmt: skip
            table.create(connection)
            vector = gecko.embed_query("restaurants")
            row = {"id": 1, "name": "Bourbon Pub", "description": "…", "embedding": vector}
            connection.execute(sa.insert(table).values(row))
            connection.commit()
            url = engine.url.render_as_string()
            with served(
                source, DATABASE_URL=url, EMBEDDING_MODEL="textembedding-gecko@001", **env
            ) as app:
                assert app.post("/", json={"name": "restaurants"}).json() == {
                    "results": [{"description": "…", "name": "Bourbon Pub"}]
                }
                assert app.get("/healthz").json()["contract"] == "none"
            with served(
                source, DATABASE_URL=url, EMBEDDING_MODEL="text-embedding-005", **env
            ) as app:
                answer = app.post("/", json={"name": "restaurants"})
                assert answer.status_code == 503
                assert "no column embedding_005" in answer.json()["error"]
        engine.dispose()

    def test_the_contract_is_followed_while_serving(self, source, stock, server):
        """Not ready: 503 that says so; ready: served, within seconds and without a restart."""
        server.create("contract", owner=ROLE)
        engine = server.engine(ROLE, "contract")
        make_table(engine, Plan(), TEXTS)
        space = Space.of(find("wordllama-256"), "content")
        with engine.begin() as connection:
            connection.exec_driver_sql("create schema ragkit")
            contract.bind(connection, Binding("public.amenities", "embedding", space))
        with served(source, **settings(engine)) as app:
            refused = app.post("/", json={"name": "tea"})
            assert refused.status_code == 503
            assert "filling: finish the backfill" in refused.json()["error"]
            with engine.begin() as connection:
                contract.set_state(connection, "public.amenities", "embedding", contract.READY)
            assert app.post("/", json={"name": "tea"}).status_code == 200
            assert app.get("/healthz").json()["contract"] == space.fingerprint
        with served(source, **settings(engine, EMBEDDING_MODEL="all-minilm-l6-v2")) as app:
            answer = app.post("/", json={"name": "tea"})
            assert answer.status_code == 503
            assert (
                "no column of public.amenities holds vectors of all-minilm"
                in answer.json()["error"]
            )
        engine.dispose()

    def test_a_column_bound_to_another_space_is_refused(self, source, stock, server):
        server.create("mixed", owner=ROLE)
        engine = server.engine(ROLE, "mixed")
        make_table(engine, Plan(), TEXTS)
        space = Space("wordllama-256", "RETRIEVAL_DOCUMENT", 256, "content")
        with engine.begin() as connection:
            connection.exec_driver_sql("create schema ragkit")
            contract.bind(
                connection, Binding("public.amenities", "embedding", space, state=contract.READY)
            )
        with served(source, **settings(engine)) as app:
            answer = app.get("/healthz")
        assert answer.status_code == 503
        assert "RETRIEVAL_DOCUMENT; this service makes 256 dimensions, task None" in answer.text
        engine.dispose()


class TestUnavailable:
    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"EMBEDDING_MODEL": ""}, "set EMBEDDING_MODEL"),
            ({"EMBEDDING_MODEL": "gecko"}, "unknown model 'gecko'"),
            ({"DATABASE_URL": ""}, "set INSTANCE_CONNECTION_NAME, DB_USER, DB_NAME"),
            ({"DATABASE_URL": f"postgresql://u:{CANARY}@127.0.0.1:9/d"}, "cannot be reached"),
            ({"DATABASE_URL": "mysql://u@h/d"}, "expected a postgresql URL"),
            ({"DB_TABLE": "public.nothing"}, "no table public.nothing"),
            ({"RESULT_COLUMNS": "name,price"}, 'column "price" does not exist'),
        ],
    )
    def test_503_with_a_reason_and_no_secret(self, source, stock, changes, says):
        with served(source, **settings(stock, **changes)) as app:
            answer = app.post("/", json={"name": "tea"})
        log = (source.parent / "function.log").read_text()
        assert answer.status_code == 503
        assert says in answer.json()["error"]
        assert CANARY not in answer.text + log
        assert "Traceback" not in answer.text + log

    def test_it_heals_when_the_database_comes_back(self, tmp_path, source):
        server = Postgres(Folders.at(tmp_path / "home"))
        try:
            server.start()
            server.create("heals", owner=ROLE)
            engine = server.engine(ROLE, "heals")
            make_table(engine, Plan(), TEXTS)
            engine.dispose()
            with served(source, **settings(engine)) as app:
                assert app.post("/", json={"name": "tea"}).status_code == 200
                server.stop()
                down = app.post("/", json={"name": "tea"})
                assert down.status_code == 503
                assert "cannot be reached" in down.json()["error"]
                assert "Traceback" not in (source.parent / "function.log").read_text()
                server.start()
                assert app.post("/", json={"name": "tea"}).status_code == 200
        finally:
            server.remove()


def test_a_long_question_for_the_model_is_the_callers_fault(source, stock, server):
    model = find("all-minilm-l6-v2")
    server.create("long", owner=ROLE)
    engine = server.engine(ROLE, "long")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "create table amenities (id int, name text, description text, embedding vector(384))"
        )
    changes = {"EMBEDDING_MODEL": model.name, "STOCK_COLUMNS": f"{model.name}=embedding"}
    with served(source, **settings(engine, **changes)) as app:
        answer = app.post("/", json={"name": "a b " * 400})
        assert app.post("/", json={"name": "tea"}).json() == {"results": []}
    assert answer.status_code == 400
    assert "takes 256" in answer.json()["error"]
    engine.dispose()


def test_without_its_vendored_copy_it_cannot_start(source, tmp_path):
    """The environment holds no other ragkit: what answers above is the copy."""
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "main.py").write_text((source / "main.py").read_text())
    found = subprocess.run(
        [PYTHON, "-P", "-m", "functions_framework", "--target=hello_http", "--port=0"],
        cwd=tmp_path / "bare", env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert "No module named 'ragkit'" in found.stderr


def test_the_answer_has_sorted_keys_and_no_blanks(client):
    text = client.post("/", json={"name": "tea"}).text.strip()
    assert text == json.dumps(
        json.loads(text), separators=(",", ":"), sort_keys=True, ensure_ascii=False
    )


def test_the_stored_vectors_are_those_of_the_model(stock):
    embedder = load("wordllama-256")
    with stock.connect() as connection:
        stored = connection.scalar(
            sa.select(sa.column("embedding", VECTOR(256)))
            .select_from(sa.table("amenities"))
            .limit(1)
        )
    assert embedder.embed_query(TEXTS[0]) @ stored > 0.999
