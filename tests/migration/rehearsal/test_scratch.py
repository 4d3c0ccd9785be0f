"""The scratch schema is the rehearsal's own, and nobody else's."""

import pytest
import sqlalchemy as sa

from ragkit.database.engine import autocommit
from ragkit.errors import SchemaError
from ragkit.migration.rehearsal import scratch
from tests.conftest import ROLE


def test_without_the_right_to_make_a_schema_it_says_what_to_grant(admin, engine):
    name = f'"{engine.url.database}"'
    with autocommit(admin) as connection:
        connection.exec_driver_sql(f"alter database {name} owner to {admin.url.username}")
        connection.exec_driver_sql(f"revoke create on database {name} from public")
    with pytest.raises(SchemaError, match=f'GRANT CREATE ON DATABASE {name} TO "{ROLE}"'):
        scratch.require_room(engine)


def test_subscribers_of_every_table_are_not_sent_a_copy(admin, engine, server):
    with autocommit(own := server.engine(database=engine.url.database)) as connection:
        connection.exec_driver_sql("create publication everything for all tables")
    own.dispose()
    with pytest.raises(SchemaError, match=r"the publication everything has every table.*--clone"):
        scratch.require_room(engine)


def test_default_privileges_let_nobody_in(engine, migration):
    with engine.begin() as connection:
        for role in ("public", "pg_monitor"):
            connection.exec_driver_sql(
                f"alter default privileges grant usage, create on schemas to {role}"
            )
    scratch.make_scratch(engine, migration.id)
    may = "select has_schema_privilege('pg_monitor', 'ragkit_rehearsal', 'usage, create')"
    with engine.connect() as connection:
        assert connection.scalar(sa.text(may)) is False
