"""The sections about the app: what they refuse."""

import pytest

from ragkit.errors import PlanError
from ragkit.migration.plan import Plan
from tests.migration.plan.test_plan import MINIMAL

OWN = [
    "app.target=command",
    "app.url=http://app",
    "app.deploy=./d.sh 'a b'",
    "app.roll_back=./r.sh",
]
GET = ["check.method=GET", 'check.body={"q": "{question}", "n": 5}', "check.path=/search"]


def test_an_app_of_somebody_s_own():
    plan = Plan.of(MINIMAL, [*OWN, *GET, "check.rows=data.hits", "check.per_second=0.5"])
    assert (plan.app.deploy, plan.app.command_seconds) == ("./d.sh 'a b'", 600)
    assert (plan.check.rows, plan.check.matches, plan.check.per_second) == ("data.hits", "key", 0.5)
    assert Plan.of(MINIMAL, ["app.target=none"]).app.target == "none"


@pytest.mark.parametrize(
    ("overrides", "fault"),
    [
        (["app.target=command"], "app.target: command needs app.url, app.deploy, app.roll_back"),
        (["app.target=command", *OWN[1:3]], "app.target: command needs app.roll_back"),
        (["app.deploy=./d.sh canary 'a"], "app.deploy: expected a command line: No closing"),
        (["check.path=search"], "check.path: expected a path such as /search"),
        (["check.path=/search?key=canary"], "check.path: expected a path such as /search"),
        (["check.body=restaurants"], "check.body: expected JSON, such as"),
        (['check.body={"q": "x"}'], "check.body: expected a text with {question} in it"),
        (['check.body=["{question}"]', "check.method=GET"], "check.body: expected a flat JSON"),
        (["check.authorization_env=Bearer canary"], "check.authorization_env: expected the name"),
        (["check.matches=label"], "check.matches: label needs table.label"),
        (["check.per_second=1000"], "check.per_second: Input should be less than"),
        ([*GET, "app.target=none"], "check is for app.target: manual or command, not none"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused(overrides, fault):
    with pytest.raises(PlanError) as error:
        Plan.of(MINIMAL, overrides)
    assert any(text.startswith(fault) for text in error.value.faults), error.value.faults
    assert "canary" not in str(error.value)
