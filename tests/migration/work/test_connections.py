"""Room for the connections of several processes, on a server with 60 of them."""

import re
import threading
from contextlib import ExitStack

import pytest
import sqlalchemy as sa

from ragkit.database.engine import DEFAULT_POOL, MIN_POOL, autocommit, engine_from_env
from ragkit.embedding.load import load_embedder
from ragkit.errors import ConfigError
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.plan.models.facts import ModelFacts
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.migration.work.connections import OF_THE_INDEX, read_room, require_connections
from tests.conftest import ROLE, TEXTS, changed, make_table
from tests.migration.backfill.vectors import check_vectors
from tests.stand_ins import pgbouncer
from tests.stand_ins.embeddings import openai
from tests.stand_ins.embeddings.service import KEY

IN_USE = sa.text("""
    select count(*) from pg_stat_activity
    where datname = :database and application_name like 'ragkit%'
""")
MODEL = "text-embedding-3-small"


@pytest.fixture
def connect(database):
    """Migrations as processes open them, each with a pool of its own."""
    with ExitStack() as stack:

        def connect(plan, **options) -> Migration:
            url = database.render_as_string(hide_password=False)
            env = {"DATABASE_URL": url, "DB_POOL_SIZE": str(options.pop("size", DEFAULT_POOL))}
            engine = engine_from_env(env, **options)
            stack.callback(engine.dispose)
            return Migration.open(plan, engine)

        yield connect


@pytest.fixture
def one(connect, amenities, plan, engine):
    engine.dispose()
    return connect(plan)


@pytest.fixture
def limit(admin, database):
    """Sets a connection limit until the end of the test."""
    names = {"role": f'role "{ROLE}"', "database": f'database "{database.database}"'}

    def alter(kind, number):
        with autocommit(admin) as connection:
            connection.exec_driver_sql(f"alter {names[kind]} connection limit {number}")

    yield alter
    alter("role", -1)


def occupy(engine: sa.Engine, stack: ExitStack, count: int) -> None:
    for _ in range(count):
        other = sa.create_engine(engine.url, poolclass=sa.NullPool)
        stack.enter_context(other.connect())


def test_as_many_processes_as_have_room_and_not_one_more(one):
    room = read_room(one)
    assert room.each == DEFAULT_POOL
    assert room.limit == "max_connections"
    assert room.needed(room.processes) <= room.left < room.needed(room.processes + 1)
    require_connections(one, room.processes)
    with pytest.raises(ConfigError) as refused:
        require_connections(one, room.processes + 1)
    assert re.search(
        rf"{room.processes + 1} processes need up to {room.needed(room.processes + 1)} connections "
        rf"\({DEFAULT_POOL} each.* max_connections leaves {room.left}: start at most "
        rf"{room.processes} processes, set DB_POOL_SIZE to \d or raise",
        str(refused.value).replace(", or raise", " or raise"),
    )


def test_what_it_says_to_do_is_enough(one, connect):
    processes = read_room(one).processes + 1
    with pytest.raises(ConfigError) as refused:
        require_connections(one, processes)
    size = int(re.search(r"set DB_POOL_SIZE to (\d)", str(refused.value))[1])
    require_connections(connect(one.plan, size=size), processes)


def test_sessions_of_others_leave_less_and_those_of_the_processes_do_not(one, connect):
    before = read_room(one)
    mates = connect(one.plan)
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(mates.engine.connect())
        assert read_room(one).left == before.left
        occupy(one.engine, stack, 5)
        assert read_room(one).left == before.left - 5


def test_a_server_that_is_nearly_full_is_refused(one):
    room = read_room(one)
    with ExitStack() as stack:
        occupy(one.engine, stack, room.left - MIN_POOL)
        with pytest.raises(ConfigError, match=f"leaves {MIN_POOL}: start at most 0 processes, or"):
            require_connections(one, 2)


@pytest.mark.parametrize("kind", ["role", "database"])
def test_a_limit_of_the_role_or_the_database_counts(one, limit, kind):
    limit(kind, 20)
    room = read_room(one)
    assert (room.left, room.processes) == (20, 2)
    require_connections(one, 2)
    with pytest.raises(ConfigError, match=f"the connection limit of {kind} '.*' leaves 20"):
        require_connections(one, 3)


def test_no_limit_holds_a_superuser_but_the_servers_own(admin, one, limit, plan):
    limit("database", 20)
    superuser = engine_from_env({
        "DATABASE_URL": admin.url.set(database=one.engine.url.database).render_as_string()
    })  # fmt: skip
    theirs = Migration(plan, superuser, one.known_old, one.known_new, one.terms)
    assert read_room(theirs).left > read_room(one).left
    superuser.dispose()


@pytest.mark.parametrize(
    ("placement", "size"), [("column", DEFAULT_POOL), ("side_table", MIN_POOL)]
)
def test_a_backfill_holds_what_is_counted_for_it_and_no_more(
    connect, engine, plan, admin, placement, size
):
    """With more requests in flight than connections, each of which asks for the quota. The
    smallest pool is enough for the way that writes by two connections."""
    with openai.serving(1536) as service:
        facts = ModelFacts(base_url=f"{service.address}/v1", key_env="OPENAI_API_KEY")
        changes = {
            "new.model": f"{MODEL}/64", "new.placement": placement, "backfill.batch_size": 4,
            "backfill.in_flight": 32, "backfill.requests_per_minute": 60_000,
        }  # fmt: skip
        plan = changed(plan, changes).model_copy(update={"model_facts": {MODEL: facts}})
        make_table(engine, plan, [f"{text} {n}." for n in range(200) for text in TEXTS])
        migration = connect(plan, size=size)
        embedder = load_embedder(plan.new.model, plan.facts, {"OPENAI_API_KEY": KEY})
        expand(migration)
        ended, most = threading.Event(), [0]

        def look() -> None:
            names = {"database": engine.url.database}
            with admin.connect() as connection:
                while not ended.wait(0.005):
                    most[0] = max(most[0], connection.scalar(IN_USE, names))
                    connection.rollback()

        looker = threading.Thread(target=look)
        looker.start()
        try:
            list(run_backfill(migration, embedder))
            filling, most[0] = most[0], 0
            index.build(migration)
        finally:
            ended.set()
            looker.join()
        assert filling == size
        assert most[0] <= size + OF_THE_INDEX
        check_vectors(migration, embedder)


def test_behind_a_pooler_it_is_said_and_not_refused(database, amenities, plan, caplog):
    if pgbouncer.PROGRAM is None:
        pytest.skip("no pgbouncer here")
    with pgbouncer.serving(database, 3) as url:
        engine = engine_from_env({"DATABASE_URL": url.render_as_string(hide_password=False)})
        migration = Migration.open(plan, engine)
        require_connections(migration, 50)
        assert f"50 processes open up to {50 * DEFAULT_POOL + 1} connections" in caplog.text
        assert "max_client_conn" in caplog.text
        assert "a pooler shares" in str(read_room(migration))
        engine.dispose()


def test_the_figure_for_a_plan_is_readable(one):
    room = read_room(one)
    assert str(room) == (
        f"a process holds up to {DEFAULT_POOL} connections, and one more builds the index; "
        f"max_connections leaves {room.left}: room for {room.processes} processes"
    )
