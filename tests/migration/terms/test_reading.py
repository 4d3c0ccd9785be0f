"""What PostgreSQL says of a key, an expression or a filter, before anything is changed."""

import pytest
import sqlalchemy as sa

from ragkit.database.engine import autocommit
from ragkit.errors import SchemaError
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from tests.conftest import ROLE
from tests.migration.shapes import make_shaped, shaped_plan


class TestRefusals:
    def fault(self, engine, **changes):
        with pytest.raises(SchemaError) as raised:
            Migration.open(shaped_plan(**changes), engine)
        return str(raised.value)

    @pytest.fixture(autouse=True)
    def table(self, engine):
        make_shaped(engine)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("(titel || 'x')", 'column "titel" does not exist'),
            ("(concat(title, payload ->> 'data'))", "|| and coalesce"),
            ("(payload -> 'data')", "is jsonb, expected text: of JSON, take a value by ->>"),
            ('(select max(title) from "Amenities")', "columns of the row only"),
            ("(max(title))", "aggregate functions are not allowed"),
            ("('x'::text)", "reads no column"),
            ("(title), (tenant)", "cannot be used: syntax error"),
            ("(title)), ((tenant)", "2 expressions, expected one"),
            ("(title || now()::text)", "must not depend on settings"),
            ("(title", "no column '(title' (set table.content; an expression is written in"),
            ('(title)); drop table "Amenities"; --)', "cannot"),
            ("(title -- a comment)", "cannot be used"),
        ],
    )
    def test_an_expression(self, engine, content, said):
        assert said in self.fault(engine, **{"table.content": content})
        with engine.connect() as connection:
            assert connection.scalar(sa.text('select count(*) from "Amenities"')) == 7

    @pytest.mark.parametrize(
        ("where", "said"),
        [
            ("collection = 'none'", "no row of public.Amenities has table.where"),
            ("kollection = 'a'", 'column "kollection" does not exist'),
            ("title", "argument of WHERE must be type boolean"),
            ("now() > '2020-01-01'", "must not depend on settings"),
            ("id in (select 1)", "columns of the row only"),
            ("true", "reads no column"),
        ],
    )
    def test_a_filter(self, engine, where, said):
        assert said in self.fault(engine, **{"table.where": where})

    def test_a_key(self, engine):
        assert "'id' is not unique" in self.fault(engine, **{"table.key": "id"})
        assert "'id', 'collection' is not unique" in self.fault(
            engine, **{"table.key": ("id", "collection")}
        )
        Migration.open(shaped_plan(**{"table.key": ("id", "tenant")}), engine)

    def test_filters_that_overlap(self, engine):
        expand(Migration.open(shaped_plan(), engine))
        said = "bound to wordllama-256 for the rows where"
        for where in ("id < 3", "", "collection in ('a', 'b')"):
            assert said in self.fault(engine, **{"table.where": where})
        Migration.open(shaped_plan(**{"table.where": "collection = 'b'"}), engine)
        Migration.open(shaped_plan(), engine)

    def test_a_generated_column(self, engine):
        with engine.begin() as connection:
            connection.exec_driver_sql(
                'alter table "Amenities" add column loud text generated always as '
                "(upper(title)) stored"
            )
        assert "generated column 'loud'" in self.fault(engine, **{"table.content": "(loud || '')"})

    def test_a_role_without_temporary_tables(self, engine, admin):
        name = engine.url.database
        with autocommit(admin) as connection:
            connection.exec_driver_sql(f'revoke temporary on database "{name}" from public')
            connection.exec_driver_sql(f'revoke temporary on database "{name}" from "{ROLE}"')
        assert "GRANT TEMPORARY ON DATABASE" in self.fault(engine)


def test_an_expression_is_as_the_server_reads_it(engine):
    make_shaped(engine)
    terms = Migration.open(shaped_plan(), engine).terms
    assert terms.content.reads == ("title", "payload")
    assert terms.content.types == ("text", "jsonb")
    assert terms.where.sql == "(collection = 'a'::text)"
    assert (terms.key.names, terms.key.types) == (("tenant", "id"), ("text", "integer"))
    assert not terms.is_plain


def test_nothing_is_left_behind(engine):
    make_shaped(engine)
    Migration.open(shaped_plan(), engine)
    with engine.connect() as connection:
        left = sa.text("select count(*) from pg_class where relname like 'ragkit_terms%'")
        assert connection.scalar(left) == 0
        assert connection.scalar(sa.text("show search_path")) == '"$user", public'
