"""Four processes and one quota, by the log of the service that they ask."""

import json
import time
from collections import Counter

import pytest

from ragkit.deadline import call_within
from ragkit.embedding.catalogue import find_model
from ragkit.migration.backfill.model_calls.metering import CostMeter
from ragkit.migration.backfill.model_calls.quota import BURST_SECONDS
from ragkit.migration.migration import Migration
from ragkit.migration.plan.models.facts import ModelFacts
from ragkit.migration.schema.expansion import expand
from tests.conftest import changed, make_table
from tests.processes import Script
from tests.quota import between, quota_error, windows
from tests.stand_ins.embeddings import openai

MODEL = "text-embedding-3-small"
WORKERS, IN_FLIGHT = 4, 4
SETTLED = 3
"""So many times what is in flight: then every connection is made, and the workers know how many
tokens a text has. What they took too much of the quota is given back LEARN_SECONDS later."""
LEARN_SECONDS = 1.5
MEASURED_SECONDS, MAX_ERROR, ATTEMPTS = 3, 0.02, 3
MANY = 10**9
WORK = """
import itertools, json, os, sys, threading, time
import sqlalchemy as sa
from ragkit.embedding.load import load_embedder
from ragkit.migration.backfill.model_calls.metering import meter_requests
from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan
from tests.stand_ins.embeddings.service import KEY

number, sizes = int(sys.argv[3]), json.loads(sys.argv[4])
clock = time.time
time.time = lambda: clock() + number * 86400  # whoever trusts it is a day or more ahead
plan = Plan.model_validate_json(sys.argv[1])
migration = Migration.open(plan, sa.create_engine(sys.argv[2]))
embedder = load_embedder(plan.new.model, plan.facts, {"OPENAI_API_KEY": KEY})
model, sizes = meter_requests(migration, embedder), itertools.cycle(sizes)

def work():
    while True:
        model.embed_documents([f"{number} " + "word " * (next(sizes) - 3)])

print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[5])):
    threading.Thread(target=work, daemon=True).start()
sys.stdin.readline()
os._exit(0)
"""

FREEZE = """
import os, signal, sys
import sqlalchemy as sa
from ragkit.embedding.catalogue import find_model
from ragkit.migration.backfill.model_calls.metering import CostMeter
from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan
plan = Plan.model_validate_json(sys.argv[1])
engine = sa.create_engine(sys.argv[2])
meter = CostMeter(Migration.open(plan, engine), find_model(plan.new.model, plan.facts))
if sys.argv[3] == "after":
    meter.before(10)
def freeze(_):
    print("frozen", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
for end in ("commit", "rollback"):
    sa.event.listen(engine, end, freeze)
meter.before(10) if sys.argv[3] == "before" else meter.after(10)
print("frozen", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def service():
    with openai.serving(256) as stand_in:
        yield stand_in


@pytest.fixture
def paid(engine, plan, service):
    """The plan of a migration to the service's model, which is expanded."""
    facts = ModelFacts(base_url=f"{service.address}/v1", key_env="OPENAI_API_KEY")
    plan = changed(plan, {"new.model": f"{MODEL}/256"})
    plan = plan.model_copy(update={"model_facts": {MODEL: facts}})
    make_table(engine, plan, ["A shop."])
    expand(Migration.open(plan, engine))
    return plan


@pytest.fixture
def start(engine, paid, service):
    """A function that starts the workers: `requests` and `tokens` a minute, and the tokens that
    requests have by turns."""
    workers = []

    def start(requests, tokens, sizes, in_flight=IN_FLIGHT):
        limits = {"backfill.requests_per_minute": requests, "backfill.tokens_per_minute": tokens}
        told = changed(paid, limits).model_dump_json(by_alias=True)
        url = engine.url.render_as_string()
        for number in range(WORKERS):
            workers.append(Script(WORK, told, url, str(number), json.dumps(sizes), str(in_flight)))
        for worker in workers:
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            worker.stdin.write("\n")
            worker.stdin.flush()
        deadline = time.monotonic() + 20
        while len(service.answered) < SETTLED * WORKERS * in_flight:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return workers

    yield start
    for worker in workers:
        worker.kill()
        worker.wait()


def served(service, seconds):
    """The requests of the next seconds."""
    begin = time.monotonic()
    time.sleep(seconds)
    return between(service.answered, begin, begin + seconds)


def keep_to(service, seconds, **quota):
    """The requests of the first seconds in which the quota is kept within MAX_ERROR; of ATTEMPTS
    at most: a machine that stood still is no fault of the quota."""
    errors = []
    for _ in range(ATTEMPTS):
        log = served(service, seconds)
        errors.append(quota_error(log, **quota))
        if errors[-1] < MAX_ERROR:
            return log
    pytest.fail(f"the quota was not kept: {errors}")


def shares(log):
    """By worker, of the requests."""
    counts = Counter(request.text.partition(" ")[0] for request in log)
    return {worker: count / len(log) for worker, count in counts.items()}


def test_requests_are_shared_fairly_and_a_killed_worker_takes_nothing_along(start, service):
    """30 a second. A worker that is killed has reserved what it has in flight."""
    workers = start(requests=1800, tokens=MANY, sizes=[20])
    log = keep_to(service, MEASURED_SECONDS, requests_per_minute=1800)
    assert all(0.22 < share < 0.28 for share in shares(log).values()), shares(log)
    assert max(len(window) for window in windows(log, 0.5)) <= 15 * 1.4
    workers[0].kill()
    log = served(service, 1)
    assert 30 - len(log) <= IN_FLIGHT + 2
    log = keep_to(service, MEASURED_SECONDS, requests_per_minute=1800)
    assert all(0.29 < share < 0.38 for share in shares(log).values()), shares(log)


def test_tokens_are_those_that_the_service_counts(start, service):
    """Small and large requests by turns: 50 requests and 3,000 tokens a second, of which 25 and
    3,000 are used. A large one takes the time of three."""
    start(requests=3000, tokens=180_000, sizes=[20, 220], in_flight=2)
    time.sleep(LEARN_SECONDS)
    quotas = {"requests_per_minute": 3000, "tokens_per_minute": 180_000}
    log = keep_to(service, MEASURED_SECONDS + 1, **quotas)
    assert all(0.22 < share < 0.28 for share in shares(log).values()), shares(log)
    used = [sum(r.tokens for r in window) for window in windows(service.answered, 1.0)]
    assert max(used) <= 3000 * (1 + BURST_SECONDS)


@pytest.mark.parametrize("part", ["before", "after"])
def test_a_worker_that_is_frozen_holds_nobody_up(engine, paid, part):
    """As one whose machine is gone, which closes no connection: a lock of its transaction would
    stay for hours."""
    told, url = paid.model_dump_json(by_alias=True), engine.url.render_as_string()
    frozen = Script(FREEZE, told, url, part)
    try:
        assert frozen.stdout.readline() == "frozen\n"
        meter = CostMeter(Migration.open(paid, engine), find_model(paid.new.model, paid.facts))
        call_within(3, meter.before, 10)
        call_within(3, meter.after, 10)
    finally:
        frozen.kill()
        frozen.wait()
