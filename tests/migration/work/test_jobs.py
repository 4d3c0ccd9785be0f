import dataclasses

import pytest

from ragkit.embedding.catalogue import find_model
from ragkit.migration.schema.expansion import expand
from ragkit.migration.work import jobs
from ragkit.migration.work.workers import working

MODEL = find_model("text-embedding-3-small")


@pytest.fixture
def expanded(migration):
    expand(migration)
    return migration


@pytest.fixture
def me(expanded):
    with working(expanded.engine, "backfill") as worker:
        yield worker


def add(migration, *keys, size=100):
    with migration.engine.begin() as connection:
        jobs.add(connection, migration, MODEL, keys, size)


def change(migration, worker, job, **values):
    with migration.engine.begin() as connection:
        return jobs.change(connection, worker, job, **values)


def count(migration):
    with migration.engine.connect() as connection:
        return jobs.count(connection, migration)


def test_a_job_is_one_workers_until_that_is_gone(expanded, me):
    add(expanded, "1", "2")
    with working(expanded.engine, "backfill") as other:
        job = jobs.take(expanded, other, jobs.OPEN)
        assert job.keys == ["1", "2"]
        assert jobs.take(expanded, me, jobs.OPEN) is None
        assert jobs.take(expanded, other, jobs.OPEN) == job
    taken = jobs.take(expanded, me, jobs.OPEN)
    assert taken == job
    assert not change(expanded, other, job, state=jobs.RUNNING)
    assert change(expanded, me, job, state=jobs.RUNNING)


def test_the_one_that_was_looked_at_longest_ago_comes_first_and_after_a_rest_only(expanded, me):
    add(expanded, "1")
    add(expanded, "2")
    turns = [jobs.take(expanded, me, [jobs.PREPARED]).keys for _ in range(3)]
    assert turns == [["1"], ["2"], ["1"]]
    assert jobs.take(expanded, me, [jobs.PREPARED], rest_seconds=60) is None
    assert jobs.take(expanded, me, [jobs.RUNNING]) is None


def test_what_has_ended_holds_no_row_and_no_money(expanded, me):
    assert count(expanded) == jobs.NO_JOBS
    add(expanded, "1", "2", size=80)
    job = jobs.take(expanded, me, jobs.OPEN)
    change(expanded, me, job, state=jobs.SUBMITTING, usd=3.0, digests=["a", "b"])
    with expanded.engine.begin() as connection:
        assert jobs.are_open(connection, expanded)
        assert jobs.reserved_usd(connection, expanded) == 3.0
        assert jobs.tokens_a_byte(connection, expanded, MODEL) is None
        assert str(jobs.count(connection, expanded)) == "1 submitted; 2 rows in jobs"
        assert jobs.end(connection, me, job, 20, 1.0, "")
        assert not jobs.end(connection, me, job, 20, 1.0, "")  # it is nobody's now
        assert not jobs.are_open(connection, expanded)
        assert jobs.reserved_usd(connection, expanded) == 0.0
        assert jobs.tokens_a_byte(connection, expanded, MODEL) == 0.25
        assert not jobs.are_open(connection, expanded.reversed())
    assert str(count(expanded)) == "1 done"


def test_each_attempt_has_a_label_of_its_own(expanded, me):
    add(expanded, "1")
    job = jobs.take(expanded, me, jobs.OPEN)
    assert job.label.startswith("ragkit-")
    assert dataclasses.replace(job, attempt=1).label != job.label
