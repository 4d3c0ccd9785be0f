"""kill -9 at each point between the first request and the last: every row is filled once, and no
text is paid for twice."""

import os
import signal

import pytest
import sqlalchemy as sa

from ragkit.migration.backfill.model_calls.costs import read_costs
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.progress.audit import audit
from ragkit.migration.work import jobs
from tests.migration.backfill.batch.conftest import PLACES
from tests.migration.backfill.vectors import check_vectors
from tests.processes import Script

OF_ONE = ["upload", "create", "created", "look", "download"]
POINTS = [
    *(("openai", point, n) for point in [*OF_ONE, "errors"] for n in (1, 2)),
    *((provider, point, 1) for provider in ("genai", "vertex") for point in OF_ONE),
]
RUN = """
import sys
from pathlib import Path
import sqlalchemy as sa
from ragkit.embedding.load import load_embedder
from ragkit.migration.backfill.batch import stage
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan
stage.POLL_SECONDS = 0.02
plan = Plan.model_validate_json(Path(sys.argv[1]).read_text())
migration = Migration.open(plan, sa.create_engine(sys.argv[2]))
for _ in run_backfill(migration, load_embedder(plan.new.model, plan.facts)):
    pass
"""


def run_until(batched, tmp_path, point, times):
    """Runs a backfill as a process, which is killed when the provider gets its request `point` for
    the `times`-th time."""
    plan = tmp_path / "plan.json"
    plan.write_text(batched.migration.plan.model_dump_json(by_alias=True))
    url = batched.migration.engine.url.render_as_string(hide_password=False)
    process = Script(RUN, str(plan), url, env=batched.case.env(batched.live))
    left = [times]

    def kill(name):
        if name == point:
            left[0] -= 1
            if not left[0]:
                os.kill(process.pid, signal.SIGKILL)

    batched.jobs.on = kill
    assert process.wait(60) == -signal.SIGKILL
    batched.jobs.on = lambda _: None
    with batched.migration.engine.begin() as connection:  # else its claims last for 10 s
        connection.exec_driver_sql("update ragkit.worker set until = now()")


@pytest.mark.parametrize(("provider", "point", "times"), POINTS)
def test_a_kill_costs_nothing(make, tmp_path, provider, point, times):
    batched = make(provider)
    run_until(batched, tmp_path, point, times)
    steps = list(run_backfill(batched.migration, batched.embedder))
    assert steps[-1].done == 30
    assert sorted(batched.paid) == sorted(PLACES)
    assert batched.live.asked == []
    check_vectors(batched.migration, batched.embedder)
    (cost,) = read_costs(batched.migration)
    assert cost.requests == len(batched.jobs.jobs)
    with batched.migration.engine.connect() as connection:
        counted = jobs.count(connection, batched.migration)
        assert (counted.done, counted.open, counted.rows) == (2, 0, 0)
        assert jobs.reserved_usd(connection, batched.migration) == 0


def test_rows_edited_between_a_kill_and_the_next_run_get_the_vectors_of_their_new_texts(
    make, tmp_path
):
    batched = make("openai")
    run_until(batched, tmp_path, "created", 1)
    table = batched.migration.quoted_table
    with batched.migration.engine.begin() as connection:
        changed = f"update {table} set content = 'Quiet rooms.' where id in (3, 25)"
        connection.execute(sa.text(changed))
    list(run_backfill(batched.migration, batched.embedder))
    assert audit(batched.migration).pending == 0
    check_vectors(batched.migration, batched.embedder)


def test_a_job_that_the_provider_forgot_before_its_id_was_recorded_is_submitted_again(
    make, tmp_path
):
    batched = make("openai")
    run_until(batched, tmp_path, "created", 1)
    batched.jobs.jobs[0].fault = "lost"
    list(run_backfill(batched.migration, batched.embedder))
    assert len(batched.paid) == len(PLACES) + 20
    labels = {job.label for job in batched.jobs.jobs}
    assert len(labels) == 3
    check_vectors(batched.migration, batched.embedder)
