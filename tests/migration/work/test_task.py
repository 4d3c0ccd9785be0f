import pytest

from ragkit.errors import ConfigError
from ragkit.migration.work.task import Task, current_task, line_prefix

INDEX, COUNT, ATTEMPT = (f"CLOUD_RUN_TASK_{name}" for name in ("INDEX", "COUNT", "ATTEMPT"))


def test_a_task_is_read_from_what_cloud_run_sets():
    env = {INDEX: "3", COUNT: "4", ATTEMPT: "1", "CLOUD_RUN_EXECUTION": "fill-x1"}
    assert Task.of(env) == Task(3, 4, 1, "fill-x1")
    assert line_prefix(env) == "task 3 of 4, attempt 2: "
    assert not Task.of(env).begins
    assert Task.of({INDEX: "0", COUNT: "1"}).begins


def test_outside_of_a_job_there_is_none():
    for env in ({}, {INDEX: "", COUNT: ""}, {ATTEMPT: "1"}):
        assert Task.of(env) is None
        assert line_prefix(env) == ""


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({INDEX: "4", COUNT: "4"}, "INDEX is 4 of CLOUD_RUN_TASK_COUNT 4: expected an index from"),
        ({INDEX: "0", COUNT: "0"}, "INDEX is 0 of CLOUD_RUN_TASK_COUNT 0"),
        ({INDEX: "-1", COUNT: "4"}, "INDEX is '-1': expected a number"),
        ({INDEX: "one", COUNT: "4"}, "INDEX is 'one': expected a number"),
        ({INDEX: "²", COUNT: "4"}, "INDEX is '²': expected a number"),
        ({INDEX: "1.0", COUNT: "4"}, "INDEX is '1.0': expected a number"),
        ({COUNT: "4"}, "INDEX is '': expected a number"),
        ({INDEX: "1"}, "COUNT is '': expected a number"),
        ({INDEX: "1", COUNT: "4", ATTEMPT: "x"}, "ATTEMPT is 'x': expected a number"),
    ],
)
def test_what_means_nothing_is_refused_and_names_nobody(env, told):
    with pytest.raises(ConfigError, match=told):
        Task.of(env)
    assert current_task(env) is None
    assert line_prefix(env) == ""
