"""A text that is in another table: chunks whose texts are those of their documents."""

import threading

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from ragkit.errors import PlanError, SchemaError
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.backfill.writing.writer import Writer
from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan
from ragkit.migration.progress.audit import audit
from ragkit.migration.schema.expansion import expand
from ragkit.migration.schema.trigger_faults import trigger_faults
from ragkit.migration.schema.triggers import drop_triggers
from ragkit.migration.work.rows import Row
from tests.conftest import OLD as OLD_MODEL
from tests.conftest import ROLE, TEXTS, changed, embedder_of, make_plan
from tests.migration.backfill.machine import Backfilling
from tests.stand_ins.letters import Letters

TABLES = (
    'create table "The Docs" (doc_id int primary key, body text, note text)',
    'create table "Amenities" (id int primary key, doc int, embedding vector(256))',
    'create index on "Amenities" (doc)',
)
FIELDS = {
    "table.label": "", "table.content": "body", "table.text_table": "The Docs",
    "table.text_key": "doc_id", "table.text_by": "doc",
}  # fmt: skip


def text_plan(**changes: object) -> Plan:
    return changed(make_plan(), {**FIELDS, **changes})


def run(engine, *statements):
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def make_tables(engine):
    """Six documents; two chunks of the first one, and one of each other."""
    run(engine, *TABLES)
    with engine.begin() as connection:
        for number, text in enumerate(TEXTS, 1):
            document = sa.text('insert into "The Docs" values (:id, :text)')
            connection.execute(document, {"id": number, "text": text})
            vector = str(embedder_of(OLD_MODEL).embed_query(text).tolist())
            chunk = sa.text('insert into "Amenities" values (:id, :doc, cast(:v as vector))')
            for key in [number, 10] if number == 1 else [number]:
                connection.execute(chunk, {"id": key, "doc": number, "v": vector})


def rows_of(engine):
    """Of each chunk, its document's text and the new vector."""
    query = sa.text("""
        select a.id, d.body, a."new vector"::text from "Amenities" a
        left join "The Docs" d on d.doc_id = a.doc order by a.id
    """)
    with engine.connect() as connection:
        return [
            (key, text, vector and [float(x) for x in vector[1:-1].split(",")])
            for key, text, vector in connection.execute(query)
        ]


def check(engine):
    for _, text, vector in rows_of(engine):
        if text and text.strip():
            assert vector == pytest.approx(Letters().embed_query(text), abs=1e-6)
        else:
            assert vector is None


@pytest.fixture
def chunks(engine):
    make_tables(engine)
    migration = Migration.open(text_plan(), engine)
    expand(migration)
    return migration


def fill(migration, embedder):
    list(run_backfill(migration, embedder))


def test_each_row_gets_the_vector_of_its_text(chunks, new_embedder):
    fill(chunks, new_embedder)
    check(chunks.engine)
    assert audit(chunks).filled == 7


@pytest.mark.parametrize(
    ("statement", "cleared"),
    [
        ("update \"The Docs\" set body = 'New.' where doc_id = 1", [1, 10]),
        ("update \"The Docs\" set note = 'x' where doc_id = 1", []),
        ('update "The Docs" set doc_id = 77 where doc_id = 1', [1, 10]),
        ('delete from "The Docs" where doc_id = 2', [2]),
        ('truncate "The Docs"', [1, 2, 3, 4, 5, 6, 10]),
        ('update "Amenities" set doc = 3 where id = 2', [2]),
        ('update "Amenities" set doc = null where id = 2', [2]),
    ],
)
def test_a_change_of_the_text_clears_the_vectors_of_its_rows(
    chunks, new_embedder, statement, cleared
):
    fill(chunks, new_embedder)
    run(chunks.engine, statement)
    assert [key for key, _, vector in rows_of(chunks.engine) if vector is None] == cleared
    fill(chunks, new_embedder)
    check(chunks.engine)


def test_a_document_that_comes_after_its_chunk_is_embedded(chunks, new_embedder):
    run(chunks.engine, 'insert into "Amenities" values (20, 20)')
    fill(chunks, new_embedder)
    run(chunks.engine, "insert into \"The Docs\" values (20, 'Late text.')")
    fill(chunks, new_embedder)
    check(chunks.engine)
    assert audit(chunks).filled == 8


def test_renamed_columns_are_followed(chunks, new_embedder):
    fill(chunks, new_embedder)
    run(
        chunks.engine, 'alter table "The Docs" rename doc_id to "key %"',
        'alter table "Amenities" rename doc to document',
        "update \"The Docs\" set body = 'New.' where \"key %\" = 2",
    )  # fmt: skip
    with chunks.engine.connect() as connection:
        cleared = sa.text('select id from "Amenities" where "new vector" is null')
        assert connection.scalars(cleared).all() == [2]


def test_a_write_does_not_land_beside_a_text_that_is_being_changed(chunks, new_embedder):
    """Its transaction is open: the old text is still seen, and is not waited for."""
    row = Row("2", TEXTS[1])
    with chunks.engine.connect() as app:
        app.exec_driver_sql("update \"The Docs\" set body = 'New.' where doc_id = 2")
        landed = []
        vectors = new_embedder.embed_documents([row.text])
        writing = threading.Thread(
            target=lambda: landed.append(Writer(chunks).write([row], vectors))
        )
        writing.start()
        writing.join(5)
        app.commit()
    assert landed == [0]
    fill(chunks, new_embedder)
    check(chunks.engine)


def test_missing_triggers_are_told_and_put_back(chunks):
    def faults():
        with chunks.engine.connect() as connection:
            return trigger_faults(connection, chunks)

    assert not faults()
    run(chunks.engine, 'alter table "The Docs" disable trigger all')
    assert len(faults()) == 3
    expand(chunks)
    assert not faults()
    with chunks.engine.begin() as connection:
        drop_triggers(connection, chunks)
    with chunks.engine.connect() as connection:
        left = sa.text("select count(*) from pg_trigger where tgname like 'zz_ragkit%'")
        assert connection.scalar(left) == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"table.text_table": "nowhere"}, "nowhere: there is no such table"),
        ({"table.content": "text"}, "no column 'text' in The Docs (set table.content)"),
        ({"table.text_key": "note"}, "'note' of The Docs is not unique"),
        ({"table.text_by": "document"}, "no column 'document' (set table.text_by)"),
        ({"table.text_by": "id", "table.key": "id"}, None),
    ],
)
def test_what_the_tables_must_be(engine, changes, said):
    make_tables(engine)
    if said is None:
        Migration.open(text_plan(**changes), engine)
        return
    with pytest.raises(SchemaError) as raised:
        Migration.open(text_plan(**changes), engine)
    assert said in str(raised.value)


def test_an_index_finds_the_rows_of_a_text(engine):
    make_tables(engine)
    run(engine, 'drop index "Amenities_doc_idx"')
    with pytest.raises(SchemaError, match=r"CREATE INDEX CONCURRENTLY ON public\."):
        Migration.open(text_plan(), engine)


def test_the_three_fields_are_set_together():
    values = make_plan().model_dump()
    for fields in ({"text_table": "documents"}, {"text_by": "doc"}):
        with pytest.raises(PlanError, match="are set together"):
            Plan.of({**values, "table": {**values["table"], **fields}})
    both = {"text_table": "d", "text_key": "k", "text_by": "b", "content": "(a || b)"}
    with pytest.raises(PlanError, match="not an expression"):
        Plan.of({**values, "table": {**values["table"], **both}})


@pytest.mark.timeout(240)
def test_every_vector_belongs_to_its_text_in_any_order(server, new_embedder):
    server.create("texts", owner=ROLE)
    engine = server.engine(ROLE, "texts")
    plan = text_plan(**{"backfill.batch_size": 2})
    texts = st.sampled_from([None, "", " ", "Tea.", "Maps.", "Wool."])
    documents, keys = st.integers(1, 8), st.integers(1, 10)

    class Interleaving(Backfilling):
        embedder = new_embedder

        def __init__(self):
            super().__init__()
            run(
                engine, 'drop table if exists "Amenities"', 'drop table if exists "The Docs"',
                "drop schema if exists ragkit cascade",
            )  # fmt: skip
            make_tables(engine)
            self.migration = Migration.open(plan, engine)
            expand(self.migration)

        def do(self, sql, **values):
            with engine.begin() as connection:
                connection.execute(sa.text(sql), values)

        @rule(document=documents, text=texts)
        def write(self, document, text):
            self.do(
                'insert into "The Docs" values (:id, :text) '
                "on conflict (doc_id) do update set body = excluded.body",
                id=document, text=text,
            )  # fmt: skip

        @rule(document=documents)
        def delete(self, document):
            self.do('delete from "The Docs" where doc_id = :id', id=document)

        @rule(key=keys, document=documents)
        def move(self, key, document):
            self.do(
                'insert into "Amenities" (id, doc) values (:id, :doc) '
                "on conflict (id) do update set doc = excluded.doc",
                id=key, doc=document,
            )  # fmt: skip

        @invariant()
        def no_vector_is_stale(self):
            for _, text, vector in rows_of(engine):
                if vector is not None:
                    assert text
                    assert vector == pytest.approx(Letters().embed_query(text), abs=1e-6)

        def teardown(self):
            self.finish()
            check(engine)

    run_state_machine_as_test(
        Interleaving, settings=settings(max_examples=8, stateful_step_count=12)
    )
    engine.dispose()


def test_triggers_of_the_app_find_what_they_found_before(chunks, new_embedder):
    """Those on the chunks run because of the change of a document, by the app's search_path."""
    run(
        chunks.engine, "create table audit (id int)",
        "create function note() returns trigger language plpgsql as "
        "$$ begin insert into audit values (new.id); return new; end $$",
        'create trigger note before update on "Amenities" for each row execute function note()',
    )  # fmt: skip
    fill(chunks, new_embedder)
    run(chunks.engine, "truncate audit", "update \"The Docs\" set body = 'New.' where doc_id = 1")
    with chunks.engine.connect() as connection:
        noted = connection.exec_driver_sql("select id from audit order by id").scalars().all()
    assert noted == [1, 10]


@pytest.mark.parametrize(
    "change", ["update \"The Docs\" set body = 'New.' where doc_id = 1", 'truncate "The Docs"']
)
def test_rows_outside_of_the_filter_keep_their_vectors(engine, new_embedder, change):
    make_tables(engine)
    plan = text_plan(**{"table.where": "id < 10"})
    migration = Migration.open(plan, engine)
    expand(migration)
    run(engine, 'update "Amenities" set "new vector" = array_fill(1, array[64]) where id = 10')
    fill(migration, new_embedder)
    run(engine, change)
    vectors = {key: vector for key, _, vector in rows_of(engine)}
    assert vectors[1] is None
    assert vectors[10] is not None


def test_keys_that_do_not_compare_are_told_at_the_start(engine):
    make_tables(engine)
    run(engine, 'alter table "Amenities" alter doc type text')
    with pytest.raises(SchemaError, match="'doc' of Amenities and text_key 'doc_id' of The Docs"):
        Migration.open(text_plan(), engine)
