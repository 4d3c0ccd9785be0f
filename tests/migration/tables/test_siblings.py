"""One app searches two tables: it is switched once, for both or for none."""

import signal
import subprocess
import time

import pytest

from ragkit.errors import GateError, PhaseError
from ragkit.migration import phases
from ragkit.migration.cutover import cut_over, roll_back
from ragkit.migration.exclusive import exclusive
from ragkit.migration.plan.files.yaml_core import dump_yaml
from ragkit.migration.retirement import retire
from ragkit.migration.verdict import GO, Verdict, record_verdict
from tests.conftest import NEW, OLD, PYTHON, ROOT, environment, gates_of

GOOD = Verdict(GO, [], {})
PENDING = 'update "Policies" set "new vector" = null where id = 3'


def give_verdict(runbook):
    gates = list(gates_of(runbook.migration).values())
    with runbook.engine.begin() as connection:
        record_verdict(connection, runbook.migration, Verdict.of(gates, {}))


def cut(runbook):
    return cut_over(runbook.migration, runbook.app, GOOD, "wool and fish")


def phases_of(runbooks):
    return [runbook.migration.phase() for runbook in runbooks]


def script_runs(pair):
    """What the script was told, after its first start by hand."""
    return [" ".join(line.split()[:2]) for line in pair.app.log.read_text().splitlines()[1:]]


def test_no_table_is_switched_before_all_are_ready(pair):
    runbooks = amenities, policies = pair()
    with pytest.raises(GateError, match="not all are ready: Policies: NO-GO: comparison: none yet"):
        cut(amenities)
    give_verdict(policies)
    with policies.engine.begin() as connection:
        connection.exec_driver_sql('alter table "Policies" disable trigger all')
    with pytest.raises(GateError, match=r"Policies: NO-GO: triggers: .*; nothing was switched"):
        cut(amenities)
    assert phases_of(runbooks) == [phases.BACKFILLED, phases.COMPARED]
    assert script_runs(pair) == []


def test_a_reason_in_the_entry_of_a_table_stands_for_its_verdict(pair):
    amenities, policies = pair(entries=({}, {"gates": {"override": "few rows"}}))
    cut(amenities)
    assert phases_of([amenities, policies]) == [phases.CUT_OVER, phases.BACKFILLED]


def test_one_switch_there_and_back_and_the_retirement(pair):
    """The old column of a table is kept for as long as another table may still go back."""
    runbooks = amenities, policies = pair(old__retire=True)
    for table in ("Amenities", "Policies"):
        with amenities.engine.begin() as connection:
            connection.exec_driver_sql(f'alter table "{table}" alter embedding set not null')
    give_verdict(amenities)
    give_verdict(policies)
    assert not cut(amenities).already
    with amenities.engine.begin() as connection:  # what the new revision inserts meanwhile
        connection.exec_driver_sql(
            'insert into "Policies" (id, content, "new vector") select 99, content || \', new\', '
            '"new vector" from "Policies" where id = 1'
        )
        connection.exec_driver_sql("update \"Policies\" set content = 'another' where id = 2")
        old = connection.exec_driver_sql('select embedding from "Policies" where id = 2')
        assert old.scalar() is None  # kept current, before the cut-over is recorded
    with pytest.raises(GateError, match="retire is refused: Policies is not cut over"):
        retire(amenities.migration, amenities.app)
    assert cut(policies).already
    assert phases_of(runbooks) == [phases.CUT_OVER] * 2
    assert not roll_back(policies.migration, policies.app, "tea").already
    assert roll_back(amenities.migration, amenities.app, "tea").already
    assert phases_of(runbooks) == [phases.ROLLED_BACK] * 2
    cut(amenities), cut(policies)
    assert script_runs(pair) == [f"cut-over {NEW}", f"rollback {OLD}", f"cut-over {NEW}"]
    assert retire(policies.migration, policies.app).done
    with pytest.raises(PhaseError, match="roll back is refused: Policies is retired"):
        roll_back(amenities.migration, amenities.app, "tea")
    assert retire(amenities.migration, amenities.app).done


def test_two_operators_of_two_tables_do_not_switch_at_once(pair):
    amenities, policies = pair()
    with (
        exclusive(policies.migration, "cut over", with_siblings=True),
        pytest.raises(PhaseError, match="roll back is refused: 'ragkit cut over"),
    ):
        roll_back(amenities.migration, amenities.app, "tea")


def test_a_cut_over_that_was_killed_between_two_tables_is_completed(pair, tmp_path):
    runbooks = pair(gates__override="tested by hand")
    params = tmp_path / "two.yaml"
    params.write_text(dump_yaml(pair.params))
    command = [PYTHON, "-m", "ragkit", "cutover", "--params", params, "--run-dir", tmp_path / "run"]
    env = environment(DATABASE_URL=runbooks[0].engine.url.render_as_string())
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while runbooks[0].migration.phase() != phases.CUT_OVER:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = subprocess.run(
        command, cwd=ROOT, env=env, check=False, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr
    assert phases_of(runbooks) == [phases.CUT_OVER] * 2
    assert script_runs(pair) == [f"cut-over {NEW}"]
    for name in ("1-amenities", "2-policies"):
        assert (tmp_path / "run" / name / "verdict.json").exists()
