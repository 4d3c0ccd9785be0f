"""The function with a model of another provider: package, key, facts, and a model of its space."""

import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR

from ragkit.deploy.vendor import build_source
from ragkit.embedding.catalogue import find_model
from ragkit.embedding.catalogue.facts import dump_facts
from ragkit.embedding.load import load_embedder
from ragkit.retrieval import contract
from ragkit.retrieval.space import READY, Binding, Space
from tests.function.serve import function_variables, serve_function
from tests.stand_ins.embeddings import openai, voyage
from tests.stand_ins.embeddings.service import KEY

TABLE = "public.amenities"
ROWS = {"Tea Room": "tea and silence", "Wool Shop": "wool jumpers and scarves"}


def fill(engine, embedder):
    """The stock table, bound to the embedder's model."""
    table = sa.Table(
        "amenities", sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text),
        sa.Column("description", sa.Text), sa.Column("content", sa.Text),
        sa.Column("embedding", VECTOR(embedder.model.dimension)),
    )  # fmt: skip
    vectors = embedder.embed_documents(list(ROWS.values()))
    rows = [
        {"id": n, "name": name, "description": text, "content": text, "embedding": vector}
        for n, ((name, text), vector) in enumerate(zip(ROWS.items(), vectors, strict=True))
    ]
    space = Space.of(embedder.model, "content")
    binding = Binding(TABLE, "embedding", space, state=READY)
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(sa.insert(table), rows)
        connection.exec_driver_sql("create schema ragkit")
        contract.CONTRACT.create(connection)
        connection.execute(sa.insert(contract.CONTRACT), {
            "table_name": TABLE, "column_name": "embedding", "model": space.model,
            "task_type": space.task_type, "dimension": space.dimension,
            "template": space.template, "distance": binding.distance,
            "fingerprint": space.fingerprint, "state": READY,
        })  # fmt: skip


def test_a_function_answers_by_openai_with_its_key_as_a_variable(engine, tmp_path):
    name = "openai:nomic-embed-text"
    with openai.serving(768) as service:
        facts = {name: {"base_url": f"{service.address}/v1", "key_env": "NOMIC_KEY"}}
        fill(engine, load_embedder(f"{name}/768", facts, {"NOMIC_KEY": KEY}))
        source = build_source(tmp_path / "source", (), dump_facts(facts))
        variables = function_variables(engine, EMBEDDING_MODEL=f"{name}/768", NOMIC_KEY=KEY)
        with serve_function(source, **variables) as client:
            answer = client.post("/", json={"name": "wool scarves"})
            assert answer.json()["results"][0]["name"] == "Wool Shop"
            service.faults = [401] * 9
            refused = client.post("/", json={"name": "tea"})
        assert refused.status_code == 503
        log = (tmp_path / "function.log").read_text()
        assert "the key is wrong or was withdrawn: check NOMIC_KEY" in log
        assert KEY not in log + refused.text


def test_a_question_may_be_embedded_by_another_model_of_the_rows_space(engine, tmp_path):
    with voyage.serving() as service:
        facts = {
            model: {"base_url": f"{service.address}/v1", "key_env": "VOYAGE_API_KEY"}
            for model in ("voyage-4-large", "voyage-4-lite")
        }
        fill(engine, load_embedder("voyage-4-large", facts, {"VOYAGE_API_KEY": KEY}))
        source = build_source(tmp_path / "source", (), dump_facts(facts))
        variables = function_variables(engine, EMBEDDING_MODEL="voyage-4-lite", VOYAGE_API_KEY=KEY)
        with serve_function(source, **variables) as client:
            answer = client.post("/", json={"name": "wool"})
            assert answer.json()["results"][0]["name"] == "Wool Shop"
        assert service.asked[-1].model == "voyage-4-lite"
        assert find_model("voyage-4-lite").space_name == "voyage-4"
