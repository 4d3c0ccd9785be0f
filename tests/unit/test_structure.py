"""The house rules that a machine can hold: imports, notebooks, parameters, the vendored copy."""

import ast
import json
from pathlib import Path

import papermill
import pytest

from ragkit.app.vendor import NOT_VENDORED, build
from ragkit.migration.plan import Plan, parameters
from tests.conftest import ROOT

PACKAGE = ROOT / "ragkit"
MAY_IMPORT = {  # a folder of ragkit, and the folders that it may import; the core is ""
    "": set(),
    "embedders": {""},
    "app": {""},
    "sandbox": {"", "embedders", "app"},
    "migration": {"", "embedders", "app"},
    "comparison": {"", "embedders", "migration"},
    "view": {"app", "migration", "comparison"},
    "runbook": {"", "embedders", "app", "sandbox", "migration", "comparison", "view"},
}
NOT_IN_CORE = {"pandas", "matplotlib", "IPython", "pydantic", "papermill", "vertexai"}
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def folder_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and (PACKAGE / parts[1]).is_dir() else ""


def imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda f: f.stem)
def test_imports_point_down(file):
    parts = file.relative_to(PACKAGE).parts
    own = parts[0] if len(parts) > 1 else ""
    ours = {folder_of(name) for name in imports(file) if name.split(".")[0] == "ragkit"}
    if parts == ("__main__.py",):
        assert ours == {"runbook"}
    else:
        core_meets = {"embedders"} if own == "" else set()  # service → embedders is inside the core
        assert ours <= MAY_IMPORT[own] | {own} | core_meets


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda f: f.stem)
def test_the_core_stays_light(file):
    own = file.relative_to(PACKAGE).parts[0]
    if own not in NOT_VENDORED:
        assert not {name.split(".")[0] for name in imports(file)} & NOT_IN_CORE
        assert "google.cloud.aiplatform" not in imports(file)


def test_the_vendored_copy_is_the_core_and_nothing_more(tmp_path):
    source = build(tmp_path / "source")
    names = {p.name for p in (source / "ragkit").iterdir()}
    assert names.isdisjoint(NOT_VENDORED)
    assert {"service.py", "contract.py", "embedders"} <= names
    assert {"main.py", "requirements.txt", ".gcloudignore", "ragkit"} <= {
        p.name for p in source.iterdir()
    }
    assert not [p for p in source.rglob("*") if p.is_symlink() or p.name == "__pycache__"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda n: n.stem)
class TestNotebooks:
    def test_is_committed_stripped(self, notebook):
        for cell in json.loads(notebook.read_text())["cells"]:
            assert not cell.get("outputs")
            assert cell.get("execution_count") is None

    def test_has_a_title_then_parameters_then_one_object(self, notebook):
        first, second, third, *rest = json.loads(notebook.read_text())["cells"]
        assert "".join(first["source"]).startswith("# ")
        assert all(
            f"**{word}**" in "".join(first["source"]) for word in ("Reads", "Writes", "Undo")
        )
        assert second["metadata"]["tags"] == ["parameters"]
        assert "Runbook.from_names(globals())" in "".join(third["source"])
        assert not any(cell["metadata"].get("tags") for cell in rest)

    def test_cells_are_short_and_hold_no_loop_and_no_sql(self, notebook):
        for number, cell in enumerate(json.loads(notebook.read_text())["cells"]):
            if cell["cell_type"] == "code" and number != 1:
                code = "".join(cell["source"])
                assert len(code.splitlines()) <= 12
                nodes = {type(node) for node in ast.walk(ast.parse(code))}
                assert not nodes & {ast.For, ast.While, ast.FunctionDef}
                assert "select" not in code.lower()

    def test_parameters_are_the_plan(self, notebook):
        """Names, types and defaults of the cell are those of Plan, each with a comment."""
        found = papermill.inspect_notebook(str(notebook))
        fields = Plan.model_fields
        assert list(found) == list(fields)
        for name, parameter in found.items():
            assert ast.literal_eval(parameter["default"]) == fields[name].default
            assert type(fields[name].default).__name__ == parameter["inferred_type_name"]
            assert parameter["help"]


@pytest.mark.parametrize("file", sorted((ROOT / "params").glob("*.yaml")), ids=lambda f: f.stem)
def test_params_files_are_plans(file):
    assert set(parameters(file)) <= set(Plan.model_fields)
    assert Plan.from_file(file)


def test_the_functions_requirements_are_pinned_as_the_runbooks():
    ours = {line for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line}
    theirs = (ROOT / "function" / "requirements.txt").read_text().split()
    loose = {"functions-framework==3.*", "Flask"}
    assert set(theirs) - loose <= ours


def test_no_path_of_a_machine_is_committed():
    files = [*PACKAGE.rglob("*.py"), *NOTEBOOKS, ROOT / "README.md", ROOT / "Makefile"]
    assert not [f.name for f in files if "/home/" in f.read_text() or "/root/" in f.read_text()]
