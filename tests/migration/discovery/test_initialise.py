"""The first command on a stranger's database: the file it writes passes inspect as it is."""

import re

import pytest

from ragkit.database.identifiers import quote_identifier
from ragkit.embedding.load import load_embedder
from ragkit.errors import ConfigError, PlanError
from ragkit.migration.discovery import initialise as module
from ragkit.migration.discovery.answers import Answers
from ragkit.migration.discovery.initialise import initialise
from ragkit.migration.inspection.cost import estimate_cost
from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan
from tests.conftest import NEW, ROOT, TEXTS
from tests.migration.discovery.conftest import IN_JSON, MODEL, TABLES

WANTED = Answers(new_model=NEW)


@pytest.fixture
def start(engine, tmp_path):
    def initialise_here(**options):
        options = {"answers": WANTED, "output": str(tmp_path / "mine.yaml"), **options}
        env = {"DATABASE_URL": engine.url.render_as_string(hide_password=False)}
        return initialise(env=env, **options)

    return initialise_here


@pytest.mark.parametrize("framework", [*TABLES, *IN_JSON])
def test_the_file_passes_inspect_as_it_is(engine, make, start, framework):
    make(framework)
    done = start()
    assert done.missing == ""
    migration = Migration.open(Plan.from_file(done.params), engine)
    assert migration.plan.old.model == MODEL
    assert estimate_cost(migration, load_embedder(NEW)).rows == len(TEXTS)


@pytest.mark.parametrize(
    ("framework", "way", "view_by", "line"),
    [
        ("LlamaIndex", "view", "schema", 'schema_name="ragkit_v2"; perform_setup=False'),
        ("LangChain PGVectorStore", "column", "search_path", '"embedding_letters"'),
        ("Haystack", "swap", "search_path", "embedding_dimension=…"),
    ],
)
def test_the_file_says_how_the_app_is_cut_over(make, start, framework, way, view_by, line):
    make(framework)
    done = start()
    app = Plan.from_file(done.params).app
    assert (app.way, app.view_by) == (way, view_by)
    assert any(f"cut over by a {way}" in note and line in note for note in done.notes)


def test_a_key_of_several_columns(engine, run, start):
    run(
        'create table chunks ("Doc" text, part int, body text, embedding vector(64), '
        'primary key ("Doc", part))'
    )
    with engine.begin() as connection:
        for number, text in enumerate(TEXTS):
            vector = load_embedder(MODEL).embed_query(text).tolist()
            connection.exec_driver_sql(
                "insert into chunks values ('d', %s, %s, cast(%s as vector))",
                (number, text, str(vector)),
            )
    done = start()
    assert "  key: [Doc, part]  " in done.params.read_text()
    assert done.missing == ""
    plan = Plan.from_file(done.params)
    assert (plan.table.keys, plan.table.content, plan.old.model) == (("Doc", "part"), "body", MODEL)
    assert estimate_cost(Migration.open(plan, engine), load_embedder(NEW)).rows == len(TEXTS)
    again = {"replace": True, "answers": Answers(new_model=NEW, key="Doc")}
    with pytest.raises(ConfigError, match="--key is 'Doc'; expected one of Doc,part"):
        start(**again)


def test_what_the_role_lacks_is_told_and_the_file_is_written_all_the_same(
    engine, make, start, admin, database
):
    import sqlalchemy as sa

    make("LlamaIndex")
    owner = sa.create_engine(admin.url.set(database=database.database))
    with owner.begin() as connection:
        connection.exec_driver_sql("alter table data_llamaindex owner to postgres")
        connection.exec_driver_sql('grant select on data_llamaindex to "retrieval-service"')
    owner.dispose()
    done = start()
    assert done.params.exists()
    assert 'OWNER TO "retrieval-service"' in done.missing


def test_an_existing_file_is_refused(make, start):
    make("LlamaIndex")
    first = start()
    with pytest.raises(ConfigError, match="--force"):
        start()
    assert start(replace=True).params == first.params


def test_a_password_in_the_url_is_refused_and_not_repeated(start):
    with pytest.raises(PlanError, match="holds a password") as error:
        start(url="postgresql+pg8000://me:hunter2@127.0.0.1:1/x")
    assert "hunter2" not in str(error.value)


def test_nothing_is_written_when_nothing_can_be_migrated(start, tmp_path):
    with pytest.raises(Exception, match="has no vector column"):
        start()
    assert list(tmp_path.iterdir()) == []


def test_the_cell_of_the_documentation_does_the_same(make, engine, monkeypatch, tmp_path, capsys):
    make("LlamaIndex")
    page = (ROOT / "docs" / "first-hour.md").read_text()
    (cell,) = re.findall(r"```python\n(.+?)```", page, re.DOTALL)
    path = tmp_path / "mine.yaml"
    monkeypatch.setenv("DATABASE_URL", engine.url.render_as_string(hide_password=False))
    exec(cell.replace("params/yours.yaml", str(path)), {})
    assert Plan.from_file(path).new.model == "text-embedding-005"


@pytest.mark.parametrize("name", ["a/../../../b", "..", "a\nb"])
def test_a_table_names_no_file_elsewhere(engine, run, start, tmp_path, monkeypatch, name):
    monkeypatch.setattr(module, "ROOT", tmp_path)
    quoted = quote_identifier(name)
    run(
        f"create table {quoted} (id int primary key, body text, v vector(2))",
        f"insert into {quoted} values (1, 'tea', '[1, 2]')",
    )
    done = start(output="")
    assert done.params.parent == tmp_path / "params"
    assert re.fullmatch(r"[\w. -]+\.yaml", done.params.name)
    assert Plan.from_file(done.params).table.name == name
