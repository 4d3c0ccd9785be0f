"""From vectors of 4,096 dimensions, which no index takes, to others of as many, by the commands.

The models are plug-ins in a folder of their own, and the app is the real function.
"""

import shutil

import numpy as np
import pytest
import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR

from ragkit.deploy.vendor import build_source
from ragkit.embedding.importing import PLUGIN_PATH
from ragkit.migration.migration import Migration
from ragkit.migration.plan.files.yaml_core import dump_yaml
from ragkit.retrieval.contract import as_served
from ragkit.sandbox.sample import sample_rows
from tests import commands
from tests.conftest import ROOT, make_plan
from tests.function.serve import function_variables, serve_function
from tests.stand_ins.wide import DIMENSION, Wide

OLD, NEW = "plugged:Old", "plugged:Wide"
"""`Old` knows the order of the words as little, and its numbers are others."""
PLUGIN = """

class Old(Wide):
    projection = -Wide.projection[::-1]
"""
CHANGES = {
    "table.name": "amenities", "old.model": OLD, "new.model": NEW, "new.column": "wide",
    "evaluation.questions": "known-items", "evaluation.k": 10, "gates.override": "a test",
    "app.target": "none", "backfill.batch_size": 0, "index.type": "hnsw",
}  # fmt: skip


class Old(Wide):
    projection = -Wide.projection[::-1]


@pytest.fixture
def plugins(tmp_path):
    """The environment with the folder of both models."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    shutil.copy(ROOT / "tests" / "stand_ins" / "wide.py", folder / "plugged.py")
    with (folder / "plugged.py").open("a") as file:
        file.write(PLUGIN)
    return {PLUGIN_PATH: str(folder), "PYTHONPATH": str(folder)}


@pytest.fixture
def plan(engine):
    """Of a table whose old vectors have as many dimensions and no index."""
    plan = make_plan(CHANGES)
    kinds = {"id": sa.Integer, "name": sa.Text, "description": sa.Text, "content": sa.Text}
    columns = [sa.Column(n, k, primary_key=n == "id") for n, k in kinds.items()]
    vector = sa.Column("embedding", VECTOR(DIMENSION))
    table = sa.Table("amenities", sa.MetaData(), *columns, vector)
    rows = [{name: row[name] for name in kinds} for row in sample_rows()]
    vectors = Old().embed_documents([row["content"] for row in rows])
    values = [{**row, "embedding": v} for row, v in zip(rows, vectors, strict=True)]
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(sa.insert(table).values(values))
    return plan


@pytest.fixture
def ragkit(engine, plan, plugins, tmp_path):
    params = tmp_path / "wide.yaml"
    params.write_text(dump_yaml(plan.model_dump(mode="json", by_alias=True)))
    variables = {**plugins, "PYTHONPATH": f"{plugins['PYTHONPATH']}:{ROOT}"}
    url = engine.url.render_as_string()

    def run(step, *settings, code=0):
        options = [f"--set={setting}" for setting in settings]
        options += ["--format=github"] if step == "plan" else ["--run-dir", str(tmp_path / "run")]
        env = {"DATABASE_URL": url, **variables}
        done = commands.run(step, "--params", params, *options, code=code, cwd=tmp_path, **env)
        return commands.output(done)

    return run


def test_wide_vectors_are_refused_then_indexed_by_their_bits_and_served(
    ragkit, engine, plan, plugins, tmp_path
):
    told = ragkit("plan", code=1)
    for text in ("RK012", "4,096 dimensions are more than the 4,000 of hnsw", "no index",
                 "nearest among 99 rows", "index.type: binary"):  # fmt: skip
        assert text in told
    refused = ragkit("backfill", code=1)
    assert "ConfigError" in refused and "index.type: binary" in refused
    assert "ragkit" not in sa.inspect(engine).get_schema_names()

    binary = "index.type=binary"
    assert "create index concurrently amenities_wide_binary" in ragkit("plan", binary)
    assert "260 of 260 rows" in ragkit("backfill", binary)
    compared = ragkit("compare", binary)
    assert "oversampling = " in compared
    assert "index: recall of exact search" in compared

    migration = Migration.open(plan, engine)
    with engine.connect() as connection:
        assert as_served(connection, migration.new).oversampling >= 4
    source = build_source(tmp_path / "source")
    stock = {"EMBEDDING_MODEL": NEW, "DB_TABLE": "public.amenities", "DB_COLUMNS": "name"}
    questions = [row["content"] for row in sample_rows()[:20]]
    with serve_function(source, **function_variables(engine, **stock, **plugins)) as client:
        answers = [client.post("/", json={"name": text}).json()["results"] for text in questions]
    assert all(len(rows) == 3 for rows in answers)
    assert recall(answers, questions) > 0.95
    scans = "select idx_scan from pg_stat_user_indexes where indexrelname = 'amenities_wide_binary'"
    with engine.connect() as connection:
        assert connection.scalar(sa.text(scans)) >= len(questions)


def recall(answers, questions):
    """Of the three nearest rows by brute force, by their names."""
    rows = sample_rows()
    stored = np.array(Wide().embed_documents([row["content"] for row in rows]))
    shares = []
    for answer, question in zip(answers, questions, strict=True):
        best = np.argsort(-(stored @ Wide().embed_query(question)))[:3]
        shown = {row["name"] for row in answer}
        shares.append(np.mean([rows[place]["name"] in shown for place in best]))
    return np.mean(shares)
