import json

import pytest

from ragkit.errors import ConfigError, DriftError, PlanError
from ragkit.migration import phases
from ragkit.migration.migration import Migration
from ragkit.migration.preview.figures import measure
from ragkit.migration.preview.preview import make_preview
from ragkit.migration.preview.reviewed import ReviewedPlan, save
from ragkit.migration.retirement import drop_old_column
from ragkit.migration.schema.expansion import expand
from tests.conftest import changed


@pytest.fixture
def path(migration, new_embedder, tmp_path):
    preview = make_preview(migration, measure(migration, new_embedder), [])
    return save([preview], tmp_path / "plans" / "plan.json")


def named(migration):
    """The plan with the name of its database, which the cut-over asks for."""
    return changed(migration.plan, {"database.expect": migration.database})


def test_what_was_saved_is_the_plan_that_is_loaded(path, migration):
    [reviewed] = ReviewedPlan.load(path)
    assert reviewed.plan == named(migration)
    reviewed.require_no_drift(migration)


def test_a_table_that_changed_is_refused_with_what_changed(path, migration, engine):
    with engine.begin() as connection:
        connection.exec_driver_sql('alter table "Amenities" add column extra int')
    with pytest.raises(DriftError, match=r"plan\.json no longer fits: column extra is new; noth"):
        ReviewedPlan.load(path)[0].require_no_drift(migration)


def test_another_database_is_refused(path, migration):
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "database": "shop at db:5432"}))
    with pytest.raises(DriftError, match="it was made for shop at db:5432, this is "):
        ReviewedPlan.load(path)[0].require_no_drift(migration)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no JSON", r"is no plan of `ragkit plan -o` \(JSONDecodeError\)"),
        ("[]", r"is no plan of `ragkit plan -o` \(TypeError\)"),
        ('{"format": 1}', r"is no plan of `ragkit plan -o` \(KeyError\)"),
        ('{"format": 9, "plan": {}, "database": "", "fingerprint": '
         '{"table": {}, "contract": {}, "code": ""}}', "has format 9, expected 1"),
    ],
)  # fmt: skip
def test_another_file_is_refused(tmp_path, text, message):
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(ConfigError, match=message):
        ReviewedPlan.load(tmp_path / "plan.json")


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(ConfigError, match="write it with ragkit plan -o"):
        ReviewedPlan.load(tmp_path / "plan.json")


def test_a_plan_that_was_edited_wrongly_tells_its_faults(path):
    document = json.loads(path.read_text())
    document["plan"]["gates"]["margin"] = 7
    path.write_text(json.dumps(document))
    with pytest.raises(PlanError, match=r"gates\.margin"):
        ReviewedPlan.load(path)


def test_an_edited_limit_is_no_drift_and_is_what_runs(path, migration, engine):
    document = json.loads(path.read_text())
    document["plan"]["gates"]["margin"] = 0.01
    path.write_text(json.dumps(document))
    [reviewed] = ReviewedPlan.load(path)
    assert reviewed.plan == changed(named(migration), {"gates.margin": 0.01})
    reviewed.require_no_drift(Migration.open(reviewed.plan, engine))


def test_the_retirement_of_the_plan_itself_is_no_drift(path, migration, engine):
    expand(migration)
    for phase in (phases.BACKFILLED, phases.CUT_OVER):
        migration.record(phase)
    with engine.begin() as connection:
        drop_old_column(connection, migration)
    ReviewedPlan.load(path)[0].require_no_drift(migration)
