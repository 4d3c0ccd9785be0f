import re

import pytest
import sqlalchemy as sa

from ragkit.database.wire.round_trip import ask
from ragkit.migration.migration import Migration
from ragkit.migration.rescue.text_index import create_sql
from ragkit.migration.schema.expansion import expand
from ragkit.retrieval.rescue.candidates import full_text
from ragkit.retrieval.rescue.candidates.full_text import find_candidates
from ragkit.retrieval.rescue.filling import Bought, write
from tests.conftest import TEXTS, make_table, random_vectors
from tests.retrieval.rescue.conftest import make_rescue

GENERATED = "generated always as (to_tsvector('english', content)) stored"


@pytest.fixture(params=["texts", "column"])
def document(request, rescued):
    """What is searched: the texts, or a column that the table has."""
    if request.param == "texts":
        return ""
    with rescued.engine.begin() as connection:
        add = f'alter table {rescued.quoted_table} add column "My lexemes" tsvector {GENERATED}'
        connection.exec_driver_sql(add)
    return "My lexemes"


@pytest.fixture(params=[True, False], ids=["small", "large"])
def find(request, rescued, document):
    def find(question, **changes):
        changes = {"document": document, **changes}
        plan = make_rescue(rescued, is_small=request.param, **changes)
        with rescued.engine.connect() as connection:
            return find_candidates(connection, rescued.new, plan, question, 10)

    return find


def test_rows_with_any_word_of_the_question_are_found_in_any_of_its_forms(find):
    assert set(find("Who has a jumper and fishes?")) == {"1", "2"}


def test_the_row_with_more_of_the_words_comes_first(find):
    assert next(iter(find("a shop for wool"))) == "2"


def test_a_row_without_a_new_vector_comes_with_its_text(find):
    assert find("wool") == {"2": TEXTS[1]}


def test_the_text_of_a_row_with_a_new_vector_stays_where_it_is(find, rescued, new_embedder):
    bought = Bought(["1", "2"], TEXTS[:2], new_embedder.embed_documents(TEXTS[:2]))
    write(rescued.engine, rescued.new, make_rescue(rescued), bought)
    assert find("wool or drinks") == {"2": None}


@pytest.mark.parametrize("question", ["", "the of and", "?!", "'; drop table x --", "a\0b", "% $1"])
def test_a_question_without_a_usable_word_finds_nothing(find, question):
    assert find(question) == {}


def test_operators_and_quotes_of_a_question_are_words(find):
    assert set(find("wool & !fish | 'chips' <-> \\ :*")) == {"1", "2"}


def test_another_language_has_other_forms(find):
    assert find("jumper", language="simple", document="") == {}
    assert set(find("jumpers", language="simple", document="")) == {"2"}


def test_ragkit_s_index_is_used(rescued):
    plan = make_rescue(rescued)
    with rescued.engine.begin() as connection:
        sql = create_sql(rescued, plan).replace(" concurrently", "")
        connection.exec_driver_sql(sql)
        for way in ("seqscan", "indexscan"):  # neither reads an index of lexemes
            connection.execute(sa.text(f"set local enable_{way} = off"))
        before = _index_scans(connection)
        find_candidates(connection, rescued.new, plan, "wool", 10)
    with rescued.engine.connect() as connection:
        connection.execute(sa.text("select pg_stat_clear_snapshot()"))
        assert _index_scans(connection) > before


def _index_scans(connection):
    connection.execute(sa.text("select pg_stat_force_next_flush()"))
    return connection.scalar(
        sa.text(
            "select coalesce(sum(idx_scan), 0) from pg_stat_user_indexes s "
            "join pg_index i using (indexrelid) where indexprs is not null"
        )
    )


def test_the_column_s_index_is_used_and_no_text_is_parsed(engine, plan):
    """The plan is PostgreSQL's own choice."""
    large = random_vectors(engine, plan, 20_000)
    with engine.begin() as connection:
        run = connection.exec_driver_sql
        run(f"alter table {large.quoted_table} add column tsv tsvector {GENERATED}")
        run(f"create index its_own on {large.quoted_table} using gin (tsv)")
        run(f"update {large.quoted_table} set content = 'A piano, black' where id = 777")
        connection.execute(sa.text(f"analyze {large.quoted_table}"))
    rescue = make_rescue(large, document="tsv")
    sql = full_text._candidates_sql(large.new, rescue)
    assert re.findall(r"to_tsvector\(\S+ ([^)]+)\)", sql) == ["$1::text"]  # of the question alone
    with engine.connect() as connection:
        values = b"a black piano", (10).to_bytes(8, "big")
        lines = [line for (line,) in ask(connection, f"explain (analyze) {sql}", values, {})]
        assert list(find_candidates(connection, large.new, rescue, "a black piano", 10)) == ["777"]
    scans = [line for line in lines if "Bitmap Index Scan on its_own" in line]
    assert len(scans) == 3, lines
    assert not [line for line in lines if f"Seq Scan on {large.quoted_table}" in line], lines


def test_rows_with_all_words_come_before_the_limit_of_those_with_any(rescued, monkeypatch, find):
    monkeypatch.setattr(full_text, "MAX_RANKED", 1)
    full_text._candidates_sql.cache_clear()
    with rescued.engine.begin() as connection:  # behind row 2, which has two of the words
        connection.exec_driver_sql(
            f"insert into {rescued.quoted_table} (id, content) values (100, 'Wool socks, scarves')"
        )
    try:
        assert next(iter(find("wool scarves and socks"))) == "100"
    finally:
        full_text._candidates_sql.cache_clear()


class TestManyRows:
    """Of a large table, whose rows are not all ranked."""

    @pytest.fixture
    def large(self, engine, plan):
        """A word of each third row, one of each hundredth, and one of a single row."""
        texts = [
            f"place {n} {'wool ' if n % 3 == 0 else ''}{'ferry ' if n % 100 == 0 else ''}"
            f"{'zither' if n == 5000 else ''}"
            for n in range(6000)
        ]
        make_table(engine, plan, ["nothing"])
        with engine.begin() as connection:
            connection.execute(
                sa.text('insert into "Amenities" (id, content) values (:id, :content)'),
                [{"id": n + 10, "content": text} for n, text in enumerate(texts)],
            )
        migration = Migration.open(plan, engine)
        expand(migration)
        return migration

    @pytest.fixture
    def analysed(self, large):
        with large.engine.connect() as connection:
            sql = create_sql(large, make_rescue(large)).replace(" concurrently", "")
            connection.exec_driver_sql(sql)
            connection.exec_driver_sql(f"analyze {large.quoted_table}")
            connection.commit()
        return large

    def ranked(self, migration, question, monkeypatch, most=100):
        monkeypatch.setattr(full_text, "MAX_RANKED", most)
        full_text._candidates_sql.cache_clear()
        try:
            with migration.engine.connect() as connection:
                rescue = make_rescue(migration)
                return find_candidates(connection, migration.new, rescue, question, 200)
        finally:
            full_text._candidates_sql.cache_clear()

    def test_the_rarest_words_of_a_question_are_looked_for(self, analysed, monkeypatch):
        """The common word is in more rows than may be ranked, and would leave no room."""
        found = self.ranked(analysed, "wool zither ferry", monkeypatch)
        ferries = {str(n + 10) for n in range(0, 6000, 100)}
        assert ferries | {"5010"} <= set(found)  # the only row with that word among them

    def test_a_question_of_common_words_alone_still_finds_some(self, analysed, monkeypatch):
        assert len(self.ranked(analysed, "wool", monkeypatch)) == 100

    def test_without_statistics_all_words_are_looked_for(self, large, monkeypatch):
        found = self.ranked(large, "wool zither ferry", monkeypatch)
        assert len(found) >= 100
        assert "5010" not in found

    @pytest.mark.parametrize("question", ["o'brien \\ 'two' & | ! :*", "' \\", "é ñ 字"])
    def test_no_word_breaks_the_query(self, analysed, monkeypatch, question):
        assert self.ranked(analysed, question, monkeypatch) == {}
