"""Tasks of a Cloud Run job: real commands on a real PostgreSQL, with a model API on loopback."""

import json
import re
import threading
import time
from collections import Counter
from contextlib import contextmanager

import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.database.engine import autocommit
from ragkit.embedding.load import load_embedder
from ragkit.errors import PhaseError
from ragkit.migration import ledger, phases
from ragkit.migration.control.settings import change_settings
from ragkit.migration.migration import Migration
from ragkit.migration.plan.files.yaml_core import dump_yaml
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.migration.work.tables import CLAIM, LEASE, WORKER
from ragkit.runbook.cli.job import wait_for_column
from tests import commands
from tests.conftest import TEXTS, changed, column_of, make_plan, make_table
from tests.stand_ins.embeddings import openai, service

MODEL = "text-embedding-3-small"
ROWS, IN_FLIGHT, TEXTS_A_REQUEST = 840, 2, 8
SECONDS = 0.25
"""Of a request."""
PLACES = [f"{text} Number {n}." for n in range(ROWS // len(TEXTS)) for text in TEXTS]
# Notes each change of a row's new vector; it is there before the column is.
NOTED = """
    create table fills (id int);
    create function note_fill() returns trigger language plpgsql as $$
    begin
        if to_jsonb(old) ->> 'new vector' is distinct from to_jsonb(new) ->> 'new vector' then
            insert into fills values (new.id);
        end if;
        return null;
    end $$;
    create trigger note_fill after update on "Amenities"
        for each row execute function note_fill();
"""


class Api(service.Service):
    """`texts` counts those it was asked for, `asked_by` has the requests of each task."""

    def __init__(self):
        super().__init__(1536, key="")
        self.texts: Counter[str] = Counter()
        self.asked_by: dict[str, list[list[str]]] = {}
        self._lock = threading.Lock()

    def read(self, path, body):
        """The base URL of each task names it."""
        task, _, path = path.lstrip("/").partition("/")
        asked = openai.read(f"/{path}", body)
        with self._lock:
            self.texts.update(asked.texts)
            self.asked_by.setdefault(task, []).append(asked.texts)
        return asked

    def answer(self, _, asked, fault):
        time.sleep(SECONDS)
        return openai.shape(self, asked, fault)

    def requests_of(self, task):
        return self.asked_by.get(str(task), [])


@pytest.fixture
def api():
    stand_in = Api()
    with service.serving(stand_in, stand_in.read, stand_in.answer, openai.refuse):
        yield stand_in


@pytest.fixture
def migration(engine, api):
    plan = make_plan({
        "new.model": f"{MODEL}/64", "backfill.batch_size": TEXTS_A_REQUEST,
        "backfill.in_flight": IN_FLIGHT, "gates.override": "a test", "app.target": "none",
    })  # fmt: skip
    make_table(engine, plan, PLACES)
    with engine.begin() as connection:
        connection.exec_driver_sql(NOTED)
    return Migration.open(plan, engine)


@pytest.fixture
def start(engine, migration, api, tmp_path):
    """Starts a task of a job, or any other command."""
    path = tmp_path / "mine.yaml"
    named = changed(migration.plan, {"database.expect": migration.database})
    path.write_text(dump_yaml(named.model_dump(mode="json", by_alias=True)))

    url = engine.url.render_as_string()
    with commands.starting(tmp_path, DATABASE_URL=url, OPENAI_API_KEY=service.KEY) as start:

        def start_asking(*arguments, **env):
            base = f"{api.address}/{env.get('CLOUD_RUN_TASK_INDEX', 'test')}/v1"
            return start(*arguments, "--params", path, **{"OPENAI_BASE_URL": base} | env)

        yield start_asking


@pytest.fixture
def start_task(start):
    def start_task(index, count, execution="fill-1", attempt=0, options=(), **env):
        return start(
            "backfill", *options, CLOUD_RUN_TASK_INDEX=str(index), CLOUD_RUN_TASK_COUNT=str(count),
            CLOUD_RUN_TASK_ATTEMPT=str(attempt), CLOUD_RUN_EXECUTION=execution,
            **env,
        )  # fmt: skip

    return start_task


def end_of(process, code=0):
    """Its lines."""
    output, errors = process.communicate(timeout=90)
    assert process.returncode == code, output + errors
    assert "Traceback" not in errors
    return (output + errors).splitlines()


def wait_until(holds, seconds=60):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def paused(migration):
    """What starts meanwhile begins at the same moment."""
    expand(migration)
    change_settings(migration, "pause", paused=True)
    yield
    change_settings(migration, "resume", paused=False)


def fills(migration):
    with migration.engine.connect() as connection:
        return Counter(connection.execute(sa.text("select id from fills")).scalars())


def count_filled(migration):
    with migration.engine.connect() as connection:
        return connection.scalar(sa.text("select count(distinct id) from fills"))


def count_workers(migration):
    with migration.engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(WORKER))


def unfilled_texts(migration):
    with migration.engine.connect() as connection:
        query = sa.text('select content from "Amenities" where id not in (select id from fills)')
        return set(connection.execute(query).scalars())


def check_end(migration, api):
    """Every row was filled once, by its own text's vector; it was completed once; nothing is
    held."""
    assert fills(migration) == Counter(range(1, ROWS + 1))
    env = {"OPENAI_API_KEY": service.KEY, "OPENAI_BASE_URL": f"{api.address}/test/v1"}
    texts = column_of(migration.engine, migration, "content")
    vectors = column_of(migration.engine, migration, "new vector")
    embedder = load_embedder(migration.plan.new.model, {}, env)
    expected = embedder.embed_documents(list(texts.values()))
    np.testing.assert_allclose(np.stack([vectors[key] for key in texts]), expected, atol=1e-6)
    with migration.engine.connect() as connection:
        assert ledger.phase(connection, migration.id) == phases.BACKFILLED
        kinds = Counter(event.kind for event in ledger.events(connection, migration.id))
        assert kinds[phases.EXPANDED] == kinds[phases.BACKFILLED] == kinds["index"] == 1
        assert index.state(connection, migration).valid
        for table in (CLAIM, LEASE):
            assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == 0


@pytest.mark.timeout(150)
@pytest.mark.parametrize("killed", [2, 0])
def test_four_tasks_of_which_one_is_killed_and_started_again(migration, api, start_task, killed):
    with paused(migration):
        tasks = [start_task(n, 4) for n in range(4)]
        wait_until(lambda: count_workers(migration) == 5)  # task 0 twice: it leads
    wait_until(lambda: len(api.requests_of(killed)) > IN_FLIGHT)
    tasks[killed].kill()
    tasks[killed].wait()
    asked = api.requests_of(killed)[:]
    missing = unfilled_texts(migration)
    in_flight = [texts for texts in asked if missing.intersection(texts)]
    tasks[killed] = start_task(killed, 4, attempt=1)
    lines = [end_of(task) for task in tasks]
    times = Counter(api.texts)
    check_end(migration, api)
    for number, said in enumerate(lines):
        again = ", attempt 2" if number == killed else ""
        assert all(line.startswith(f"task {number} of 4{again}: ") for line in said), said
        assert any("valid: yes" in line for line in said) == (number == 0), said
    lost = {text for texts in in_flight for text in texts}
    paid_twice = {text for text in PLACES if times[text] > 1}
    assert max(times[text] for text in PLACES) <= 2
    assert paid_twice <= lost
    assert len(in_flight) <= 2 * IN_FLIGHT  # with the model, or answered and being written


@pytest.mark.timeout(120)
def test_two_jobs_at_once_share_the_rows_and_one_of_them_completes(migration, api, start_task):
    with paused(migration):
        jobs = {name: [start_task(n, 2, name) for n in range(2)] for name in ("fill-1", "fill-2")}
        wait_until(lambda: count_workers(migration) == 5)  # one of them twice: it leads
    said = {name: [end_of(task) for task in tasks] for name, tasks in jobs.items()}
    assert {api.texts[text] for text in PLACES} == {1}
    check_end(migration, api)
    leads = [any("valid: yes" in line for line in said[name][0]) for name in jobs]
    assert sorted(leads) == [False, True]
    led = next(name for name, is_lead in zip(jobs, leads, strict=True) if not is_lead)
    leader = next(name for name in jobs if name != led)
    told = rf"'ragkit backfill by {leader}, task 0 of 2', since .* begins and completes"
    assert re.search(told, "\n".join(said[led][0]))


@pytest.mark.timeout(120)
def test_a_task_is_paused_and_one_that_was_stopped_is_not_started_again(migration, api, start_task):
    """Cloud Run starts a task again that fails: one that somebody stops has not failed."""
    tasks = [start_task(n, 3) for n in range(3)]
    wait_until(lambda: count_filled(migration) > 50)
    change_settings(migration, "pause", paused=True)
    time.sleep(1.0 + SECONDS)
    filled = count_filled(migration)
    time.sleep(1.5)
    assert count_filled(migration) == filled < ROWS
    change_settings(migration, "resume", paused=False)
    wait_until(lambda: count_filled(migration) > filled, seconds=10)
    change_settings(migration, "stop", stopped_at=sa.func.clock_timestamp())
    for task in tasks:
        assert any("stopped by" in line for line in end_of(task))
    assert count_workers(migration) == 0


def test_a_task_that_has_no_way_to_the_database_says_so_and_nothing_is_lost(
    migration, api, engine, start_task
):
    nowhere = "postgresql+pg8000://u@127.0.0.1:1/shop"
    anywhere = ("--set", "database.expect=")
    *_, line = end_of(start_task(1, 2, options=anywhere, DATABASE_URL=nowhere), code=1)
    assert re.match("task 1 of 2: DatabaseUnavailable: database shop at .* cannot be reached", line)
    stranger = engine.url.set(username="nobody here").render_as_string()
    *_, line = end_of(start_task(1, 2, DATABASE_URL=stranger), code=1)
    assert re.match("task 1 of 2: ConfigError: .* the role may not log in", line)
    document = json.loads("\n".join(end_of(start_task(0, 2, options=["--json"]))))
    check_end(migration, api)
    assert document["task"] == "0 of 2"
    assert document["column"].endswith("added")
    assert document["index"]["valid"] is True


def test_what_the_variables_cannot_mean_is_told_before_anything_is_done(migration, start_task):
    [line] = end_of(start_task(4, 4), code=1)
    assert line.startswith("ConfigError: CLOUD_RUN_TASK_INDEX is 4 of CLOUD_RUN_TASK_COUNT 4")
    assert migration.phase() == phases.PLANNED


def test_more_tasks_than_the_database_has_connections_for_do_not_begin(
    migration, admin, engine, start_task
):
    with autocommit(admin) as connection:
        connection.exec_driver_sql(f'alter database "{engine.url.database}" connection limit 20')
    *_, line = end_of(start_task(3, 4), code=1)
    assert re.match(r"task 3 of 4: ConfigError: 4 processes need up to 33 connections", line)
    *_, line = end_of(start_task(0, 4), code=1)
    assert re.match(r"task 0 of 4: ConfigError: 4 processes need up to 33 connections", line)
    assert migration.phase() == phases.PLANNED


def test_the_tasks_are_the_workers(migration, start):
    env = {"CLOUD_RUN_TASK_INDEX": "0", "CLOUD_RUN_TASK_COUNT": "2"}
    *_, line = end_of(start("backfill", "--set", "backfill.workers=3", **env), code=1)
    assert "leave backfill.engine and backfill.workers out" in line


def test_task_0_that_does_not_begin_is_not_waited_for_without_end(migration):
    pauses = []
    with pytest.raises(PhaseError, match="task 0 has not added the new column within 0 s"):
        wait_for_column(migration, 0.0, pauses.append)
    expand(migration)
    wait_for_column(migration, 0.0, pauses.append)
