import stat
from pathlib import Path

import pytest

from ragkit.errors import PlanError
from ragkit.runbook import parameters as module
from ragkit.runbook.parameters import (
    PARAMS,
    default_params,
    make_private,
    notebook_parameters,
    run_folder,
)
from tests.conftest import ROOT

CELL = 'params: str = ""\nrun_dir: str = ""  # where\nset: str = ""\nretire: bool = False'
RUNBOOK = "runbook = Runbook.from_notebook(globals(), retire='old.retire')"
STEPS = {"retire": "old.retire"}


def parameters(values, *cells):
    """As after the cells `cells`, while the runbook cell runs."""
    return notebook_parameters({**values, "In": ["", *cells, RUNBOOK]}, STEPS)


def faults(values, *cells):
    with pytest.raises(PlanError) as caught:
        parameters(values, *cells)
    return caught.value.faults


def test_parameters_are_read_from_the_cell():
    result = parameters({"params": "params/jss.yaml", "run_dir": "runs/x", "retire": True}, CELL)
    assert result.params == ROOT / "params" / "jss.yaml"
    assert result.run_dir == ROOT / "runs" / "x"
    assert result.overrides == ("old.retire=true",)


def test_false_and_empty_leave_a_field_to_the_params_file():
    assert parameters({"retire": False, "set": ""}, CELL).overrides == ()


@pytest.mark.parametrize(
    "given", ["gates.margin=0.001\nindex.type=none", ["gates.margin=0.001", "index.type=none"]]
)
def test_set_is_a_text_or_a_list(given):
    assert parameters({"set": given}, CELL).overrides == ("gates.margin=0.001", "index.type=none")


def test_a_text_stays_a_text():
    result = notebook_parameters({"override": "it's: 7"}, {"override": "gates.override"})
    assert result.overrides == ("gates.override=it's: 7",)


def test_unknown_names_are_refused_all_at_once():
    injected = "# Parameters\nparms = 'x'\nretrie = True\n"
    assert faults({"retire": 1}, CELL, injected) == [
        "unknown parameter 'parms' (did you mean params?)",
        "unknown parameter 'retrie' (did you mean retire?)",
        "retire: expected bool or str, got 1",
    ]


def test_a_field_of_the_plan_is_told_to_go_through_set():
    assert faults({}, CELL, "gates_margin = 0.1")[0].endswith('(use "set" for a field of the plan)')


def test_a_parameter_that_sets_no_field_is_true_or_false():
    history = {"In": ["", 'params = ""', RUNBOOK]}
    with pytest.raises(PlanError, match="retry: expected bool, got 'yes'"):
        notebook_parameters({"retry": "yes", **history}, {"retry": ""})
    assert notebook_parameters({"retry": True, **history}, {"retry": ""}).overrides == ()


@pytest.mark.parametrize(
    "cell",
    ["params, k = '', 5", "%time\nk = 5", "'mine'\nk = 5\n# own", "import os\nparams = k = ''"],
)
def test_an_unknown_name_is_found_in_any_parameter_cell(cell):
    assert faults({}, CELL, cell)[0].startswith("unknown parameter 'k'")


def test_papermill_does_not_hide_the_cell_it_injects_after():
    edited, injected = CELL + "\nk = 5", "# Parameters\nparams = 'x'\n"
    assert faults({}, edited, injected)[0].startswith("unknown parameter 'k'")


@pytest.mark.parametrize("own", ["k = 5", "k = len('x')", "%matplotlib inline", "# a note", "!ls"])
def test_a_cell_of_ones_own_is_no_parameter_cell(own):
    """At the end of the notebook, when Run All is used a second time."""
    assert parameters({"k": 5}, CELL, RUNBOOK, own, CELL).overrides == ()


@pytest.mark.parametrize("between", [(), (RUNBOOK,)])
def test_a_corrected_name_is_forgotten(between):
    assert parameters({}, CELL + "\nretrie = True", *between, CELL).overrides == ()


def test_names_that_the_notebook_made_are_no_parameters():
    """Run All twice: the notebook's own names are there the second time."""
    own = ("added = expand(runbook.migration)", "show.note('x')", "for x in y: pass")
    made = {"added": True, "x": 3, "steps": [1]}
    assert parameters(made, CELL, RUNBOOK, *own, CELL).overrides == ()
    assert faults(made, CELL, RUNBOOK, *own, CELL, "addd = 1")[0].startswith("unknown parameter")


def test_an_import_that_hides_a_parameter_is_refused():
    assert faults({"retire": pytest}, CELL)[0].startswith("retire: expected bool or str")


def test_the_default_params_file_follows_the_environment():
    assert default_params({}).name == "sandbox.yaml"
    assert default_params({"DATABASE_URL": "x"}).name == "jss.yaml"
    own = {"DATABASE_URL": "x", PARAMS: "params/yours.yaml"}
    assert default_params(own) == ROOT / "params" / "yours.yaml"
    assert default_params({PARAMS: "~/yours.yaml"}) == Path.home() / "yours.yaml"


def test_a_relative_run_folder_is_in_the_checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_folder("") == ROOT / "runs" / "lab"
    assert run_folder("runs/x") == ROOT / "runs" / "x"
    assert run_folder(str(tmp_path)) == tmp_path


def test_what_a_run_writes_is_for_its_user_only(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROOT", tmp_path)
    (tmp_path / "runs").mkdir(mode=0o755)
    for folder in (tmp_path / "runs" / "lab", tmp_path / "elsewhere" / "run"):
        assert stat.S_IMODE(make_private(folder).stat().st_mode) == 0o700
        make_private(folder)
    assert stat.S_IMODE((tmp_path / "runs").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "elsewhere").stat().st_mode) != 0o700  # not ours to change
