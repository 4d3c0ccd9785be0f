"""Schemathesis against docs/openapi.yaml: what fits is answered, what does not is refused."""

import os

import schemathesis
from hypothesis import HealthCheck, settings

from tests.conftest import ROOT

EXAMPLES = int(os.environ.get("ATTACK_EXAMPLES", "25"))
MAX_GROWTH = 50 * 2**20
SCHEMA = schemathesis.openapi.from_path(ROOT / "docs" / "openapi.yaml")
ANSWERS: list[int] = []


@SCHEMA.parametrize()
@settings(
    max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
def test_every_answer_is_as_the_schema_says(case, client):
    answer = case.call_and_validate(base_url=str(client.base_url))
    ANSWERS.append(answer.status_code)


def test_no_answer_was_a_servers_error_and_little_memory_is_held(client, memory, report):
    assert len(ANSWERS) > EXAMPLES
    before = memory()
    large = b'{"name": "tea", "more": [' + b"1," * 30_000 + b"1]}"
    for _ in range(200):
        assert client.post("/", content=large).status_code == 200
    growth = memory() - before
    errors = sum(status >= 500 for status in ANSWERS)
    report("answers by Schemathesis's requests", f"{len(ANSWERS)}, of them 5xx: {errors}")
    report("memory growth", f"{growth / 2**20:.1f} MB")
    assert errors == 0
    assert growth < MAX_GROWTH
