"""Two operators are told about each other."""

import os
import signal

import pytest

from ragkit.errors import PhaseError
from ragkit.evaluation.gates import decide
from ragkit.migration.cutover import roll_back
from ragkit.migration.exclusive import LEAD, Taken, exclusive
from ragkit.migration.retirement import retire
from ragkit.migration.schema.expansion import expand
from tests.processes import Script

HOLD = """
import sys, sqlalchemy as sa
from ragkit.migration.exclusive import exclusive
from tests.plans import make_plan
from ragkit.migration.migration import Migration
with exclusive(Migration.open(make_plan(), sa.create_engine(sys.argv[1])), "cut over"):
    print("claimed", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(migration, database):
    """Another operator's process, in the middle of a cut-over."""
    expand(migration)
    process = Script(HOLD, database.render_as_string())
    assert process.stdout.readline() == "claimed\n"
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("compare", lambda migration: decide(migration, None, None, None)),
        ("roll back", lambda migration: roll_back(migration, None, "tea")),
        ("retire", lambda migration: retire(migration, None)),
    ],
)
def test_a_step_beside_another_is_refused_and_names_it(migration, other, name, step):
    with pytest.raises(PhaseError, match=f"^{name} is refused: 'ragkit cut over by .*:{other.pid}"):
        step(migration)


def test_a_killed_operator_leaves_no_claim(migration, other):
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    with exclusive(migration, "compare"), exclusive_of_another_migration(migration):
        pass


def test_the_lead_of_a_backfill_is_leased_by_itself(migration):
    expand(migration)
    lead = migration.id + LEAD
    with exclusive(migration, "backfill", name=lead), exclusive(migration, "compare"):
        with pytest.raises(Taken) as taken, exclusive(migration, "backfill", name=lead):
            pass
        assert taken.value.holder.name.startswith("ragkit backfill by ")


def exclusive_of_another_migration(migration):
    """Another table's operators are not concerned."""
    return exclusive(migration.reversed(), "compare")


def test_an_error_of_the_step_keeps_its_type_and_releases_the_claim(migration):
    with pytest.raises(FileNotFoundError, match="gcloud"), exclusive(migration, "cut over"):
        raise FileNotFoundError("gcloud")
    with exclusive(migration, "cut over"):
        pass
