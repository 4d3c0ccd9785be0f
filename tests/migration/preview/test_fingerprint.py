import pytest

from ragkit.deploy.own_app.asked import AskedApp
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.preview import fingerprint
from ragkit.migration.preview.fingerprint import Fingerprint, code_digest
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import allow_missing_old, expand, keep_old_column_current
from ragkit.migration.swap.swap import swap
from tests.conftest import changed


def test_what_the_migration_itself_does_is_no_drift(engine, plan, amenities, new_embedder):
    with engine.begin() as connection:
        connection.exec_driver_sql('alter table "Amenities" alter embedding set not null')
    migration = Migration.open(plan, engine)
    before = Fingerprint.of(migration)
    expand(migration)
    list(run_backfill(migration, new_embedder))
    index.build(migration)
    allow_missing_old(migration)
    keep_old_column_current(migration)
    assert before.differences(Fingerprint.of(migration)) == []


def test_nor_is_a_swap(engine, plan, amenities, new_embedder):
    with engine.begin() as connection:
        connection.exec_driver_sql(
            'create index old on "Amenities" using hnsw (embedding vector_cosine_ops)'
        )
    swapping = changed(plan, {"app.way": "swap", "app.target": "command"})
    migration = Migration.open(swapping, engine)
    before = Fingerprint.of(migration)
    expand(migration)
    list(run_backfill(migration, new_embedder))
    index.build(migration)
    assert swap(migration, AskedApp("http://127.0.0.1:9"))
    assert before.differences(Fingerprint.of(migration)) == []


@pytest.mark.parametrize(
    ("statement", "difference"),
    [
        ('add column extra int', "column extra is new"),
        ('drop column description', "column description is gone"),
        ('alter content type varchar(900)',
         "column content was text, and is character varying(900)"),
        ('add constraint short check (length(name) < 999)', "constraint short is new"),
        ('alter name set not null', "column name was text, and is text not null"),
    ],
)  # fmt: skip
def test_a_changed_table_is_told(migration, engine, statement, difference):
    before = Fingerprint.of(migration)
    with engine.begin() as connection:
        connection.exec_driver_sql(f'alter table "Amenities" {statement}')
    assert difference in before.differences(Fingerprint.of(migration))


def test_a_new_index_and_a_new_trigger_are_told(migration, engine):
    before = Fingerprint.of(migration)
    with engine.begin() as connection:
        for statement in (
            'create index by_name on "Amenities" (name)',
            "create function f() returns trigger language plpgsql as 'begin return new; end'",
            'create trigger t before insert on "Amenities" for each row execute function f()',
        ):
            connection.exec_driver_sql(statement)
    assert before.differences(Fingerprint.of(migration)) == ["index by_name is new",
                                                             "trigger t is new"]  # fmt: skip


def test_another_column_in_the_contract_is_told(migration, engine):
    expand(migration)
    before = Fingerprint.of(migration)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "insert into ragkit.contract (table_name, column_name, model, dimension, template, "
            "distance, fingerprint, state) values ('public.Amenities', 'third', 'm', 8, 'content', "
            "'cosine', 'f', 'ready')"
        )
    assert before.differences(Fingerprint.of(migration)) == ["contract of third is new"]


def test_other_code_is_told_with_its_version(migration, tmp_path, monkeypatch):
    before = Fingerprint.of(migration)
    (tmp_path / "module.py").write_text("x = 1")
    monkeypatch.setattr(fingerprint, "PACKAGE", tmp_path)
    (difference,) = before.differences(Fingerprint.of(migration))
    assert difference.startswith("the code of ragkit is another one")


def test_the_digest_is_that_of_names_and_contents(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprint, "PACKAGE", tmp_path)
    (tmp_path / "a.py").write_text("x = 1")
    first = code_digest()
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert code_digest() != first
    (tmp_path / "b.py").rename(tmp_path / "a.py")
    assert code_digest() == first
