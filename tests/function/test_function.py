"""The real function: a built source folder, served by functions-framework, over HTTP."""

import json
import subprocess
import threading
import time

import httpx
import pytest
import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR

from ragkit.deploy.vendor import build_source
from ragkit.embedding.catalogue import find_model
from ragkit.embedding.load import load_embedder
from ragkit.embedding.providers.vertex import VertexEmbedder
from ragkit.retrieval import contract_changes
from ragkit.retrieval.log.answers import ASKED_BY_RAGKIT, EVENT
from ragkit.retrieval.space import READY, Binding, Space
from ragkit.sandbox.folders import Folders
from ragkit.sandbox.postgres import Postgres
from tests.conftest import PYTHON, ROLE, TEXTS, make_plan, make_table
from tests.function.serve import CANARY, HEALTH_TOKEN, function_variables, serve_function
from tests.stand_ins import vertex

STOCK = make_plan({"table.name": "amenities"})


@pytest.fixture(scope="module")
def stock(server):
    """A database as a stock installation has it: amenities of 256 dimensions, no contract."""
    server.create("function", owner=ROLE)
    engine = server.engine(ROLE, "function")
    make_table(engine, STOCK, TEXTS)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def client(source, stock):
    with serve_function(source, **function_variables(stock)) as client:
        yield client


def details(client):
    return client.get("/healthz", headers={"X-Health-Token": HEALTH_TOKEN}).json()


def logged(source):
    return (source.parent / "function.log").read_text()


def test_without_a_token_in_the_settings_nobody_has_it(source, stock):
    with serve_function(source, **function_variables(stock, HEALTH_TOKEN="")) as client:
        assert "column" not in client.get("/healthz", headers={"X-Health-Token": ""}).json()


class TestRequests:
    def test_the_nearest_rows_are_answered_as_json(self, client):
        answer = client.post("/", json={"name": "a silent room"})
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("application/json")
        assert answer.text.startswith(
            '{"results":[{"description":"A silent space.","name":"Quiet Room"},'
        )
        assert len(answer.json()["results"]) == 3

    def test_a_question_in_the_query_string_gets_the_same_answer(self, client):
        by_body = client.post("/", json={"name": "champagne"}).json()
        assert client.post("/?name=champagne").json() == by_body
        assert client.get("/?name=champagne").json() == by_body
        assert len(client.get("/?name=champagne&top_k=5").json()["results"]) == 5

    @pytest.mark.parametrize("top_k", [1, 6, 50, "4"])
    def test_top_k_limits_the_results(self, client, top_k):
        answer = client.post("/", json={"name": "train", "top_k": top_k})
        assert len(answer.json()["results"]) == min(int(top_k), len(TEXTS))

    @pytest.mark.parametrize(
        ("body", "message"),
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
    def test_a_malformed_request_is_refused_with_a_reason(self, client, body, message):
        answer = client.post("/", json=body)
        assert answer.status_code == 400
        assert message in answer.json()["error"]

    @pytest.mark.parametrize("body", [b"name=x", b"{", b'{"name": "\xff\xfe"}'])
    def test_a_body_that_is_not_json_is_refused(self, client, body):
        answer = client.post("/", content=body)
        assert answer.status_code == 400
        assert "JSON object" in answer.json()["error"]

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
    def test_another_method_is_refused_with_the_allowed_ones(self, client, method):
        answer = client.request(method, "/", json={"name": "x"})
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, POST")
        assert "expected POST" in answer.json()["error"]

    def test_a_question_may_be_in_any_script(self, client):
        assert client.post("/", json={"name": "レストラン 🍣"}).status_code == 200

    def test_a_question_with_sql_in_it_is_answered(self, client):
        assert client.post("/", json={"name": "'; drop table amenities; --"}).status_code == 200


class TestContract:
    def test_healthz_tells_strangers_the_model_and_holders_of_the_token_the_rest(self, client):
        public = {"model": "wordllama-256", "ok": True, "served_by": "native"}
        assert client.get("/healthz").json() == public
        wrong = client.get("/healthz", headers={"X-Health-Token": "no"})
        assert wrong.json() == public
        assert details(client) == {**public, "column": "embedding", "contract": "none"}

    def test_a_stock_database_is_searched_by_the_stock_mapping(self, server, source):
        """gecko@001 → embedding, 005 → embedding_005, by the real Google client."""
        server.create("stock", owner=ROLE)
        engine = server.engine(ROLE, "stock")
        with vertex.serving() as models, engine.begin() as connection:
            env = {"GCP_PROJECT_ID": "p", "VERTEX_ENDPOINT": models.address}
            gecko = VertexEmbedder(find_model("textembedding-gecko@001"), env)
            table = sa.Table(
                "amenities", sa.MetaData(),
                sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text),
                sa.Column("description", sa.Text), sa.Column("content", sa.Text),
                sa.Column("embedding", VECTOR(768)),
            )  # fmt: skip
            table.create(connection)
            row = {"id": 1, "name": "Bourbon Pub", "description": "…"}
            row["embedding"] = gecko.embed_query("restaurants")
            connection.execute(sa.insert(table).values(row))
            connection.commit()
            url = engine.url.render_as_string()
            with serve_function(
                source, DATABASE_URL=url, EMBEDDING_MODEL="textembedding-gecko@001", **env
            ) as app:
                assert app.post("/", json={"name": "restaurants"}).json() == {
                    "results": [{"description": "…", "name": "Bourbon Pub"}]
                }
                assert app.get("/healthz").json()["ok"]
            with serve_function(
                source, DATABASE_URL=url, EMBEDDING_MODEL="text-embedding-005", **env
            ) as app:
                answer = app.post("/", json={"name": "restaurants"})
                assert answer.status_code == 503
                assert "no column embedding_005" in logged(source)
        engine.dispose()

    def test_a_changed_contract_is_followed_without_a_restart(self, source, server):
        """503 while the column is filling; served when it is ready."""
        server.create("contract", owner=ROLE)
        engine = server.engine(ROLE, "contract")
        make_table(engine, STOCK, TEXTS)
        space = Space.of(find_model("wordllama-256"), "content")
        with engine.begin() as connection:
            connection.exec_driver_sql("create schema ragkit")
            contract_changes.bind(connection, Binding("public.amenities", "embedding", space))
        with serve_function(source, **function_variables(engine)) as app:
            refused = app.post("/", json={"name": "tea"})
            assert refused.status_code == 503
            assert refused.json()["error"] == "this model cannot search yet; its log says why"
            assert "filling: finish the backfill" in logged(source)
            with engine.begin() as connection:
                contract_changes.set_state(connection, "public.amenities", "embedding", READY)
            assert app.post("/", json={"name": "tea"}).status_code == 200
            assert details(app)["contract"] == space.fingerprint
        with serve_function(
            source, **function_variables(engine, EMBEDDING_MODEL="all-minilm-l6-v2")
        ) as app:
            answer = app.post("/", json={"name": "tea"})
            assert answer.status_code == 503
            assert "amenities" not in answer.text
            assert "no column of public.amenities holds vectors of all-minilm" in logged(source)
        engine.dispose()

    def test_a_column_bound_to_another_space_is_refused(self, source, server):
        server.create("mixed", owner=ROLE)
        engine = server.engine(ROLE, "mixed")
        make_table(engine, STOCK, TEXTS)
        space = Space("wordllama-256", "RETRIEVAL_DOCUMENT", 256, "content")
        with engine.begin() as connection:
            connection.exec_driver_sql("create schema ragkit")
            contract_changes.bind(
                connection, Binding("public.amenities", "embedding", space, state=READY)
            )
        with serve_function(source, **function_variables(engine)) as app:
            answer = app.get("/healthz")
        assert answer.status_code == 503
        assert answer.json()["ok"] is False
        assert "RETRIEVAL_DOCUMENT; this service makes 256 dimensions, task None" in logged(source)
        engine.dispose()

    def test_a_table_without_its_schema_has_its_contract_too(self, source, server):
        """Else a column of another space would answer, by the stock mapping."""
        server.create("schema", owner=ROLE)
        engine = server.engine(ROLE, "schema")
        make_table(engine, STOCK, TEXTS)
        space = Space.of(find_model("wordllama-64"), "content")
        with engine.begin() as connection:
            connection.exec_driver_sql("create schema ragkit")
            contract_changes.bind(connection, Binding("public.amenities", "embedding", space))
        with serve_function(source, **function_variables(engine, DB_TABLE="amenities")) as app:
            assert app.post("/", json={"name": "tea"}).status_code == 503
            assert "no column of amenities holds vectors of wordllama-256" in logged(source)
        engine.dispose()


class TestUnavailable:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"EMBEDDING_MODEL": ""}, "set EMBEDDING_MODEL"),
            ({"EMBEDDING_MODEL": "gecko"}, "unknown model 'gecko'"),
            ({"DATABASE_URL": ""}, "set INSTANCE_CONNECTION_NAME, DB_USER, DB_NAME"),
            ({"DATABASE_URL": f"postgresql://u:{CANARY}@127.0.0.1:9/d"}, "cannot be reached"),
            ({"DATABASE_URL": "mysql://u@h/d"}, "expected a postgresql URL"),
            ({"DB_TABLE": "public.nothing"}, "no table public.nothing"),
            ({"RESULT_COLUMNS": "name,price"}, "price does not exist"),
        ],
    )
    def test_a_wrong_setting_is_503_with_a_reason_and_no_secret(
        self, source, stock, changes, message
    ):
        with serve_function(source, **function_variables(stock, **changes)) as app:
            answer = app.post("/", json={"name": "tea"})
        log = logged(source)
        assert answer.status_code == 503
        assert "its log says why" in answer.json()["error"]
        assert message in log
        assert not any(name in answer.text for name in ("amenities", "price", "gecko'", "127.0.0"))
        assert CANARY not in answer.text + log
        assert "Traceback" not in answer.text + log

    def test_no_request_fails_when_the_server_ends_the_sessions(self, source, stock, server):
        """As a restart or a failover does, while requests are under way."""
        statuses, done = [], threading.Event()

        def ask(url):
            with httpx.Client(base_url=url, timeout=20) as client:
                while not done.is_set():
                    statuses.append(client.post("/", json={"name": "tea"}).status_code)

        end_sessions = sa.text(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity "
            "where application_name = 'ragkit function'"
        )
        admin = server.engine()
        with serve_function(source, **function_variables(stock)) as app:
            assert app.post("/", json={"name": "tea"}).status_code == 200
            threads = [threading.Thread(target=ask, args=(app.base_url,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            ended = 0
            for _ in range(8):
                time.sleep(0.4)  # several times what new connections take
                with admin.connect() as connection:
                    ended += connection.scalar(end_sessions)
            done.set()
            for thread in threads:
                thread.join()
        admin.dispose()
        assert ended > 8
        assert len(statuses) > 100
        assert set(statuses) == {200}
        assert "Traceback" not in logged(source)

    def test_the_function_recovers_when_the_database_is_back(self, tmp_path, source):
        server = Postgres(Folders.at(tmp_path / "home"))
        try:
            server.start()
            server.create("recovers", owner=ROLE)
            engine = server.engine(ROLE, "recovers")
            make_table(engine, STOCK, TEXTS)
            engine.dispose()
            with serve_function(source, **function_variables(engine)) as app:
                assert app.post("/", json={"name": "tea"}).status_code == 200
                server.stop()
                refused = app.post("/", json={"name": "tea"})
                assert refused.status_code == 503
                assert "the database does not answer" in refused.json()["error"]
                assert "Traceback" not in logged(source)
                server.start()
                assert app.post("/", json={"name": "tea"}).status_code == 200
        finally:
            server.remove()


def test_a_question_that_is_too_long_for_the_model_is_400(source, server):
    model = find_model("all-minilm-l6-v2")
    server.create("long", owner=ROLE)
    engine = server.engine(ROLE, "long")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "create table amenities (id int, name text, description text, embedding vector(384))"
        )
    changes = {"EMBEDDING_MODEL": model.name, "STOCK_COLUMNS": f"{model.name}=embedding"}
    with serve_function(source, **function_variables(engine, **changes)) as app:
        answer = app.post("/", json={"name": "a b " * 400})
        assert app.post("/", json={"name": "tea"}).json() == {"results": []}
    assert answer.status_code == 400
    assert "takes 256" in answer.json()["error"]
    engine.dispose()


def test_without_the_vendored_copy_the_function_cannot_start(source, tmp_path):
    """So the tests above run the vendored copy: the environment has no other ragkit."""
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "main.py").write_text((source / "main.py").read_text())
    process = subprocess.run(
        [PYTHON, "-P", "-m", "functions_framework", "--target=hello_http", "--port=0"],
        cwd=tmp_path / "bare", env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert "No module named 'ragkit'" in process.stderr


def test_the_answer_has_sorted_keys_and_no_spaces(client):
    text = client.post("/", json={"name": "tea"}).text.strip()
    assert text == json.dumps(
        json.loads(text), separators=(",", ":"), sort_keys=True, ensure_ascii=False
    )


def test_the_stock_table_has_the_vectors_of_the_model(stock):
    embedder = load_embedder("wordllama-256")
    with stock.connect() as connection:
        stored = connection.scalar(
            sa.select(sa.column("embedding", VECTOR(256)))
            .select_from(sa.table("amenities"))
            .limit(1)
        )
    assert embedder.embed_query(TEXTS[0]) @ stored > 0.999


def answer_lines(source):
    text = (source.parent / "function.log").read_text()
    return [json.loads(line) for line in text.splitlines() if EVENT in line]


def test_each_answer_is_a_line_without_its_question(stock, tmp_path):
    source = build_source(tmp_path / "source")
    with serve_function(source, **function_variables(stock)) as client:
        client.post("/", json={"name": "a silent room"})
        client.post("/", json={"name": ""})
        client.get("/healthz")
        client.post("/", json={"name": "tea"}, headers={"User-Agent": ASKED_BY_RAGKIT})
    answered, refused = answer_lines(source)
    assert (answered["model"], answered["status"], answered["rows"]) == ("wordllama-256", 200, 3)
    assert answered["ms"] > 0
    assert (refused["status"], refused["rows"]) == (400, 0)
    assert "silent" not in (source.parent / "function.log").read_text()


def test_the_line_can_be_turned_off(stock, tmp_path):
    source = build_source(tmp_path / "source")
    variables = function_variables(stock, ANSWER_LOG="off")
    with serve_function(source, **variables) as client:
        assert client.post("/", json={"name": "tea"}).status_code == 200
    assert answer_lines(source) == []
