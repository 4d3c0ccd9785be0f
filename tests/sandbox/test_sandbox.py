"""The sandbox: its table is that of a stock installation, and its parts start and stop together."""

import shutil

import pytest
import sqlalchemy as sa

from ragkit.sandbox.sample import amenities
from ragkit.sandbox.sandbox import Sandbox
from tests.conftest import free_port

DAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
JSS_COLUMNS = [
    *("id", "name", "description", "location", "terminal", "category", "hour"),
    *(f"{day}_{edge}_hour" for day in DAYS for edge in ("start", "end")),
    *("content", "embedding"),
]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    sandbox = Sandbox(free_port(), tmp_path_factory.mktemp("sand box") / "home")
    sandbox.up()
    sandbox.restore()
    yield sandbox
    sandbox.remove()


def test_the_table_has_exactly_the_columns_of_the_solution(sandbox):
    columns = sa.inspect(sandbox.engine()).get_columns("amenities")
    assert [column["name"] for column in columns] == JSS_COLUMNS
    assert {column["name"]: str(column["type"]) for column in columns}["embedding"] == "VECTOR(256)"
    assert [column.name for column in amenities(256).columns] == JSS_COLUMNS


def test_every_row_has_a_vector(sandbox):
    with sandbox.engine().connect() as connection:
        query = sa.text("select count(*), count(embedding) from amenities")
        assert connection.execute(query).one() == (260, 260)


def test_the_role_is_no_superuser(sandbox):
    with sandbox.engine().connect() as connection:
        query = sa.text("select current_user, usesuper from pg_user where usename = current_user")
        assert connection.execute(query).one() == ("retrieval-service", False)


def test_a_revision_without_its_folder_does_not_serve(sandbox):
    app = sandbox.app
    revision = app.stage("wordllama-256")
    app.promote(revision)
    shutil.rmtree(app._folder(revision))
    assert app.serving() is None
    replacement = app.stage("wordllama-256")
    app.promote(replacement)
    assert app.serving() == replacement


def test_a_sandbox_can_be_stopped_started_and_removed(tmp_path):
    sandbox = Sandbox(free_port(), tmp_path / "home")
    try:
        for _ in range(2):
            sandbox.up()
            assert sandbox.postgres.running()
            sandbox.down()
            assert not sandbox.postgres.running()
            assert sandbox.app.serving() is None
    finally:
        sandbox.remove()
    assert not (tmp_path / "home").exists()


def test_two_sandboxes_have_different_folders_and_ports(tmp_path):
    first, second = (Sandbox(free_port(), tmp_path / name) for name in ("first", "second"))
    assert first.url != second.url
    assert first.app.url != second.app.url
    for sandbox in (first, second):
        sandbox.remove()
