"""Whole backfills by a batch API, and what may happen in the hours that a job takes."""

import threading

import pytest

from ragkit.embedding.catalogue import find_model
from ragkit.errors import BudgetExceeded, ConfigError, ModelBusy, ModelUnavailable, WrongDimension
from ragkit.migration.backfill.batch import collecting
from ragkit.migration.backfill.follower import follow
from ragkit.migration.backfill.model_calls.costs import read_costs, read_usd
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.progress.audit import audit
from ragkit.migration.status import read_status
from ragkit.report.words import progress_line
from tests.conftest import column_of, with_plan
from tests.migration.backfill.batch.conftest import PLACES, PRICE
from tests.migration.backfill.vectors import check_vectors
from tests.stand_ins.embeddings.service import count_tokens


def run(batched):
    return list(run_backfill(batched.migration, batched.embedder))


def check(batched, filled=30, dead_letters=0):
    counts = audit(batched.migration)
    assert (counts.filled, counts.pending, counts.dead_letters) == (filled, 0, dead_letters)
    check_vectors(batched.migration, batched.embedder)


def write(batched, sql):
    with batched.migration.engine.begin() as connection:
        connection.exec_driver_sql(sql)


def test_every_row_is_filled_at_the_price_of_batches_and_no_text_is_sent_live(batched):
    steps = run(batched)
    assert steps[-1].done == 30
    assert sorted(batched.paid) == sorted(PLACES)
    assert len(batched.jobs.jobs) == 2
    assert batched.live.asked == []
    (cost,) = read_costs(batched.migration)
    assert (cost.model, cost.requests) == (f"{batched.case.model}/256, batches", 2)
    discount = 0.2 if batched.case.folder else 0.5  # of Vertex AI
    assert cost.usd == pytest.approx(cost.tokens * PRICE * 1e-6 * (1 - discount))
    assert batched.migration.phase() == "backfilled"
    check(batched)


def test_the_tokens_are_those_that_the_service_counted(make):
    batched = make("openai")
    run(batched)
    (cost,) = read_costs(batched.migration)
    assert cost.tokens == sum(map(count_tokens, PLACES))


def test_progress_and_status_show_the_jobs(batched):
    batched.jobs.held = True
    seen = []
    for step in run_backfill(batched.migration, batched.embedder):
        seen.append(step)
        if step.jobs.running == 2 and batched.jobs.held:
            batched.jobs.held = False
            shown = read_status(batched.migration, None).jobs
            assert shown == "2 running; 30 rows in jobs"
            assert "jobs: 2 running; 30 rows in jobs" in progress_line(step)
            assert step.eta_seconds == float("inf")
    assert max(step.jobs.rows for step in seen) == 30
    assert (seen[-1].jobs.done, seen[-1].jobs.rows) == (2, 0)
    assert read_status(batched.migration, None).jobs == "2 done"


def test_rows_that_people_write_meanwhile_are_right_and_embedded_live(batched):
    batched.jobs.held = True
    edited, fresh = "Northlight sells maps now.", "Bubbles is a bar."
    for step in run_backfill(batched.migration, batched.embedder):
        if batched.jobs.held and step.jobs.running == 2 and step.done == 0:
            table = batched.migration.quoted_table
            write(batched, f"update {table} set content = '{edited}' where id = 3")
            write(batched, f"insert into {table} (id, content) values (31, '{fresh}')")
            write(batched, f"delete from {table} where id = 4")
        if step.done >= 2:  # they have landed, before any job has
            batched.jobs.held = False
    assert set(batched.paid_live) == {edited, fresh}
    check(batched)
    assert column_of(batched.migration.engine, batched.migration, "content")[3] == edited


def test_a_follower_serves_fresh_rows_and_leaves_the_jobs_alone(make):
    batched = make("openai")
    table = batched.migration.quoted_table
    write(batched, f"insert into {table} (id, content) values (31, 'Bubbles is a bar.')")
    stop, done = threading.Event(), []
    for step in follow(batched.migration, batched.embedder, None, stop):
        done.append(step.done)
        stop.set()
    assert max(done) == 1
    assert batched.jobs.jobs == []
    run(batched)
    assert len(batched.paid) == 30
    check(batched, 31)


def test_an_audit_meanwhile_queues_no_row_of_a_job(make):
    batched = make("openai")
    batched.jobs.held = True
    for step in run_backfill(batched.migration, batched.embedder):
        if step.jobs.running == 2 and batched.jobs.held:
            assert audit(batched.migration).pending == 30
            batched.jobs.held = False
    assert batched.live.asked == []
    check(batched)


@pytest.mark.parametrize(
    ("faults", "jobs"),
    [(["failed"], 3), (["expired"], 3), (["cancelled", "expired"], 4), (["partial"], 3),
     (["lost"], 3), (["lost file"], 3), (["broken"], 2), (["failed", "lost"], 4)],
)  # fmt: skip
def test_what_a_job_did_not_bring_is_pending_again_and_goes_into_another(batched, faults, jobs):
    batched.jobs.faults = list(faults)
    assert run(batched)[-1].done == 30
    assert batched.live.asked == []
    assert len(batched.jobs.jobs) == jobs
    check(batched)


def test_a_job_that_is_too_much_for_the_account_is_halved(make):
    batched = make("openai", texts=PLACES[:20])
    batched.jobs.faults = ["full"]
    run(batched)
    assert [len(job.lines) for job in batched.jobs.jobs] == [20, 10, 10]
    check(batched, 20)


def test_it_waits_for_another_one_to_end_if_there_is_one(make):
    batched = make("openai", texts=[f"{place} {n}" for n in (1, 2) for place in PLACES[:20]])
    batched.jobs.faults = ["", "full"]
    batched.jobs.slows = [12, 1]
    run(batched)
    assert [len(job.lines) for job in batched.jobs.jobs] == [20, 20, 20]
    check(batched, 40)


@pytest.mark.parametrize("fault", ["failed", "lost"])
def test_what_fails_again_and_again_stops_the_run_and_the_next_one_goes_on(batched, fault):
    batched.jobs.faults = [fault] * 99
    with pytest.raises(ModelUnavailable, match=r"3 batches in a row .* pending.*mode: live"):
        run(batched)
    assert audit(batched.migration).pending == 30
    batched.jobs.faults = []
    assert run(batched)[-1].done == 30
    check(batched)


def test_a_text_that_is_refused_is_asked_for_live_and_becomes_a_dead_letter_there(make):
    batched = make("openai", texts=PLACES[:8])
    batched.jobs.faults = ["refused"]
    run(batched)
    refused = batched.paid[2::3]
    assert sorted(batched.paid_live) == sorted(refused)  # it takes them after all
    check(batched, 8)


def test_a_job_of_which_every_text_is_refused_blames_no_row(make, monkeypatch):
    monkeypatch.setattr(collecting, "FEW", 1)
    batched = make("openai", texts=PLACES[:9])
    batched.jobs.faults = ["all refused"]
    run(batched)
    assert batched.live.asked == []
    check(batched, 9)


def test_another_dimension_stops_it_and_blames_no_row(batched):
    batched.jobs.faults = ["shape", "shape"]
    with pytest.raises(WrongDimension):
        run(batched)
    batched.jobs.faults = []
    for job in batched.jobs.jobs:
        job.fault = ""
    run(batched)
    assert len(batched.jobs.jobs) == 2  # they were paid
    check(batched)


def test_identical_texts_are_sent_once(make):
    batched = make("openai", texts=[*PLACES[:5], *PLACES[:5], None, " \n"])
    run(batched)
    assert sorted(batched.paid) == sorted(PLACES[:5])
    check(batched, 10)


def test_long_texts_that_the_model_does_not_take_whole_are_left_to_the_live_api(make):
    long = "wool " * 12_000
    batched = make("openai", texts=[*PLACES[:3], long], new__long_texts="cut")
    run(batched)
    assert sorted(batched.paid) == sorted(PLACES[:3])
    assert audit(batched.migration).filled == 4


def dollars(texts):
    """What a job with so many of the texts may cost at most."""
    return sum(len(text.encode()) for text in PLACES[:texts]) * 0.5 * PRICE * 1e-6 / 2


def test_the_estimate_of_a_job_is_reserved_until_it_ends(make):
    batched = make("openai", backfill__budget_usd=dollars(22))
    batched.jobs.held = True
    looks = 0
    for step in run_backfill(batched.migration, batched.embedder):
        if batched.jobs.held and step.jobs.running:
            looks += 1
            assert (step.jobs.prepared, step.jobs.running) == (1, 1)
            batched.jobs.held = looks < 5
    # the first one was cheaper than it might have been
    check(batched)
    assert read_usd(batched.migration) < dollars(22)


def test_no_job_is_submitted_beyond_the_budget(make):
    batched = make("openai", backfill__budget_usd=dollars(19))
    with pytest.raises(BudgetExceeded, match="budget"):
        run(batched)
    assert batched.jobs.jobs == []
    run(_with(batched, {"backfill.budget_usd": 0.0}))
    check(batched)


def test_a_run_waits_for_its_hours_and_the_next_one_waits_on(batched):
    batched.jobs.held = True
    with pytest.raises(ModelBusy, match=r"have not ended.*30 rows in jobs"):
        run(_with(batched, {"backfill.batch_hours": 0.5 / 3600}))
    batched.jobs.held = False
    run(batched)
    assert sorted(batched.paid) == sorted(PLACES)
    check(batched)


def test_jobs_that_are_there_are_ended_by_a_run_in_mode_live_and_no_new_ones_made(make):
    batched = make("openai")
    batched.jobs.held = True
    for step in run_backfill(batched.migration, batched.embedder):
        if step.jobs.running:
            break
    batched.jobs.held = False
    run(_with(batched, {"backfill.mode": "live"}))
    assert len(batched.jobs.jobs) <= 2
    assert sorted(batched.paid + batched.paid_live) == sorted(PLACES)
    check(batched)


def test_an_embedder_without_a_batch_api_is_refused_at_once(make):
    batched = make("openai")
    facts = batched.migration.plan.facts[batched.case.model]
    no_batches = find_model("cohere:embed-v4.0")
    assert no_batches.batch_texts == 0
    plugin = _Live(batched.embedder)
    with pytest.raises(ConfigError, match="mode: live"):
        list(run_backfill(batched.migration, plugin))
    assert facts["batch_texts"] == 20


def test_a_migration_that_an_earlier_version_expanded_gets_the_table(make):
    batched = make("openai", texts=PLACES[:5])
    write(batched, "drop table ragkit.batch_job")
    assert audit(batched.migration).pending == 5
    assert read_status(batched.migration, None).jobs is None
    run(batched)
    check(batched, 5)


class _Live:
    """An embedder of the same model by its live API only."""

    def __init__(self, embedder):
        self.model, self.embed_documents = embedder.model, embedder.embed_documents
        self.embed_query = embedder.embed_query


def _with(batched, changes):
    return type(batched)(
        batched.case, batched.live, batched.jobs, with_plan(batched.migration, changes)
    )
