"""What a runbook takes from a table that is somebody's own."""

import pytest
import yaml

from ragkit.errors import ConfigError, PlanError
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.plan import Plan
from ragkit.migration.plan.files.yaml_core import dump_yaml
from ragkit.migration.schema.expansion import expand
from ragkit.runbook import Runbook
from ragkit.runbook.parameters import Parameters
from tests.conftest import TEXTS, changed, make_table
from tests.stand_ins.two_tables import two_tables


@pytest.fixture
def runbook(engine, plan, amenities, monkeypatch, tmp_path):
    def make(changes=None):
        monkeypatch.setenv("DATABASE_URL", engine.url.render_as_string())
        values = yaml.safe_dump(changed(plan, changes or {}).model_dump(by_alias=True))
        return Runbook(Plan.of(yaml.safe_load(values)), tmp_path)

    return make


def test_a_notebook_chooses_one_of_several_tables(tmp_path):
    file = tmp_path / "two.yaml"
    file.write_text(dump_yaml(two_tables()))
    with pytest.raises(PlanError, match=r'set = "tables=NAME": 1 \(Amenities\), 2 \(Policies\)'):
        Runbook.of(Parameters(file, tmp_path / "run"))
    chosen = Runbook.of(Parameters(file, tmp_path / "run", ("tables=Policies", "gates.margin=0.2")))
    assert (chosen.plan.table.name, chosen.plan.gates.margin) == ("Policies", 0.2)
    assert chosen.run_dir == tmp_path / "run"
    folders = [one.run_dir.name for one in Runbook.all_of(Parameters(file, tmp_path))]
    assert folders == ["1-amenities", "2-policies"]


def test_without_questions_there_are_none(runbook):
    assert runbook().questions is None
    assert runbook().check_questions() == "questions: none; stored vectors are compared"


def test_judged_rows_are_checked_against_the_table(runbook, tmp_path):
    questions, qrels = tmp_path / "q.jsonl", tmp_path / "qrels.tsv"
    questions.write_text('{"_id": "q1", "text": "wool"}\n')
    qrels.write_text("q1 0 2 1\nq1 0 404 1\n")
    files = {"evaluation.questions": str(questions), "evaluation.qrels": str(qrels)}
    assert runbook(files).check_questions() == (
        "questions: 1, judged: 1, 1 judged rows are not in the table"
    )
    qrels.write_text("q1 0 2 1\nq1 0 404 1\nq1 0 405 1\n")
    with pytest.raises(ConfigError, match="2 rows that do not exist"):
        runbook(files).check_questions()


def test_the_smoke_question_is_a_label_of_the_table_unless_it_is_said(runbook):
    assert runbook({"app.smoke_question": "tea"}).smoke_question == "tea"
    names = {text.partition(" is a ")[0] for text in TEXTS}
    assert runbook({"app.smoke_question": ""}).smoke_question in names


def test_without_a_label_a_row_is_named_by_its_content(engine, runbook):
    bare = runbook({"table.label": "", "app.smoke_question": ""})
    assert bare.smoke_question in {text[:60] for text in TEXTS}
    assert runbook({"table.label": ""}).migration.plan.table.label == ""


def test_an_empty_table_has_a_smoke_question_too(engine, plan, monkeypatch, tmp_path):
    table = make_table(engine, changed(plan, {"table.name": "Empty"}), TEXTS[:1])
    with engine.begin() as connection:
        connection.execute(table.delete())
    monkeypatch.setenv("DATABASE_URL", engine.url.render_as_string())
    empty = changed(plan, {"table.name": "Empty", "app.smoke_question": ""})
    assert Runbook(empty, tmp_path).smoke_question


def test_there_is_no_sandbox_for_another_database(runbook):
    with pytest.raises(ConfigError, match="there is no sandbox"):
        _ = runbook().sandbox


class TestOldModel:
    """It is only asked where it can be; a migration away from it needs its name and dimension."""

    def callable_old(self, runbook, model):
        return runbook({"old.model": model}).old_embedder_or_none()

    def test_one_that_can_be_called_is_loaded(self, runbook, plan):
        assert self.callable_old(runbook, plan.old.model) is not None

    def test_without_its_credentials_it_is_left_out(self, runbook, monkeypatch, caplog):
        monkeypatch.delenv("GCP_PROJECT_ID", raising=False)
        monkeypatch.delenv("INSTANCE_CONNECTION_NAME", raising=False)
        assert self.callable_old(runbook, "textembedding-gecko@001") is None
        assert "set GCP_PROJECT_ID" in caplog.text

    def test_one_outside_the_catalogue_is_left_out(self, runbook, caplog):
        assert self.callable_old(runbook, "text-search-ada-doc-001/256") is None
        assert "text-search-ada-doc-001/256 is not in the catalogue" in caplog.text

    def test_a_plug_in_that_is_gone_is_left_out(self, runbook):
        assert self.callable_old(runbook, "tests.stand_ins.letters:Gone") is None

    def test_its_table_can_be_filled_and_looked_at(self, runbook):
        opened = runbook({"old.model": "unknown/256"})
        expand(opened.migration)
        list(run_backfill(opened.migration, opened.new_embedder))
        assert opened.status().done == len(TEXTS)
        observed = {check.observed for check in opened.inspection.checks}
        assert "cannot be called" in observed
