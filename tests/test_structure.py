"""The house rules that a machine can hold: imports, folders, notebooks, the vendored copy."""

import ast
import json
import re
import shutil
import subprocess
from pathlib import Path

import papermill
import pytest

from ragkit.deploy.vendor import CORE, build_source, vendor_core
from tests.conftest import PYTHON, ROOT, environment

PACKAGE = ROOT / "ragkit"
TOP = {"errors", "retry", "deadline", "checkout"}
MAY_IMPORT = {  # a folder of ragkit, and the folders and modules that it may import
    "errors": set(),
    "checkout": {"errors"},
    "retry": {"errors"},
    "deadline": set(),
    "sequential": set(),
    "embedding": {"errors", "deadline"},
    "database": {"errors", "deadline"},
    "retrieval": {"errors", "deadline", "embedding", "database"},
    "deploy": {"errors", "checkout", "sequential", "retrieval"},
    "sandbox": {*TOP, "embedding", "database", "deploy"},
    "migration": {*TOP, "embedding", "database", "retrieval", "deploy"},
    "evaluation": {*TOP, "sequential", "embedding", "database", "retrieval", "migration"},
    "report": {"errors", "sequential", "deploy", "migration", "evaluation"},
    "runbook": {
        *TOP, "", "embedding", "database", "deploy", "sandbox", "migration", "evaluation", "report",
    },
}  # fmt: skip
NOT_IN_CORE = {
    "pandas", "matplotlib", "IPython", "pydantic", "papermill", "vertexai", "tenacity", "click",
}  # fmt: skip
MAX_MODULES = 10
SOURCES = sorted(PACKAGE.rglob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
OF_EVERY_NOTEBOOK = ["params", "run_dir", "set"]
OF_ONE_STEP = {
    "02_backfill": ["retry"], "04_cutover": ["apply", "override", "confirmed"],
    "05_retire": ["retire", "confirmed"], "90_rollback": ["confirmed"],
    "rescue": ["apply", "anyway"], "03b_judge": ["judge", "pooled"],
}  # fmt: skip


def name_of(file: Path) -> str:
    """The dotted name of a module of ragkit."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(file): file for file in SOURCES}


def imports(file: Path) -> set[str]:
    """Dotted names, as far as they are modules of ragkit, else as they are written."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in MODULES else node.module for name in full}
            if node.module == "google.cloud":
                names |= full
    return names


def folder_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


@pytest.mark.parametrize("file", SOURCES, ids=name_of)
def test_imports_point_one_way(file):
    own = folder_of(name_of(file))
    used = {folder_of(name) for name in imports(file) if name.split(".")[0] == "ragkit"} - {own}
    if own in ("", "__main__"):
        assert used <= {"runbook"}
    else:
        assert used <= MAY_IMPORT[own]


def test_no_module_imports_itself_in_a_circle():
    graph = {
        name: {other for other in imports(file) if other in MODULES and other != name}
        for name, file in MODULES.items()
    }
    done: set[str] = set()
    while free := {name for name, needs in graph.items() if name not in done and needs <= done}:
        done |= free
    assert set(graph) - done == set()


@pytest.mark.parametrize("folder", sorted({file.parent for file in SOURCES}), ids=lambda f: f.name)
def test_a_folder_has_about_ten_modules(folder):
    modules = [file for file in folder.glob("*.py") if file.name != "__init__.py"]
    assert len(modules) <= MAX_MODULES


@pytest.mark.parametrize("file", SOURCES, ids=name_of)
def test_the_core_stays_light(file):
    if file.relative_to(PACKAGE).parts[0] in CORE:
        used = imports(file)
        assert not {name.split(".")[0] for name in used} & NOT_IN_CORE
        assert "google.cloud.aiplatform" not in used


class TestVendoredCopy:
    def test_it_is_the_core_and_what_the_function_needs(self, tmp_path):
        source = build_source(tmp_path / "source")
        assert {path.name for path in (source / "ragkit").iterdir()} == set(CORE)
        own = {"main.py", "requirements.txt", ".gcloudignore", "ragkit"}
        assert {path.name for path in source.iterdir()} == own
        assert not [p for p in source.rglob("*") if p.is_symlink() or p.name == "__pycache__"]

    def test_a_new_folder_is_never_shipped_by_accident(self, tmp_path):
        package = tmp_path / "ragkit"
        shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__", "data"))
        (package / "stray").mkdir()
        (package / "stray" / "__init__.py").touch()
        (package / "stray.py").touch()
        (package / "embedding" / ".env").touch()
        copy = vendor_core(tmp_path / "function", package)
        assert {path.name for path in copy.iterdir()} == set(CORE)
        assert not (copy / "embedding" / ".env").exists()

    def test_it_imports_nothing_that_is_not_shipped(self):
        shipped = {name.removesuffix(".py") for name in CORE} | {"__init__"}
        for name, file in MODULES.items():
            if folder_of(name) in shipped:
                used = {folder_of(other) for other in imports(file) if other.startswith("ragkit")}
                assert used <= shipped, name


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda n: n.stem)
class TestNotebooks:
    def test_it_is_committed_stripped(self, notebook):
        for cell in json.loads(notebook.read_text())["cells"]:
            assert not cell.get("outputs")
            assert cell.get("execution_count") is None

    def test_it_has_a_title_then_parameters_then_one_object(self, notebook):
        first, second, third, *rest = json.loads(notebook.read_text())["cells"]
        title = "".join(first["source"])
        assert title.startswith("# ")
        assert all(f"**{word}**" in title for word in ("Reads", "Writes", "Undo"))
        assert second["metadata"]["tags"] == ["parameters"]
        assert "Runbook.from_notebook(globals()" in "".join(third["source"])
        assert not any(cell["metadata"].get("tags") for cell in rest)

    def test_cells_are_short_and_hold_no_loop_and_no_sql(self, notebook):
        for cell in json.loads(notebook.read_text())["cells"]:
            if cell["cell_type"] == "code":
                code = "".join(cell["source"])
                assert len(code.splitlines()) <= 12
                nodes = {type(node) for node in ast.walk(ast.parse(code))}
                assert not nodes & {ast.For, ast.While, ast.FunctionDef}
                assert "select" not in code.lower()

    def test_its_parameters_are_the_shared_ones_and_those_of_its_step(self, notebook):
        parameters = papermill.inspect_notebook(str(notebook))
        assert list(parameters) == OF_EVERY_NOTEBOOK + OF_ONE_STEP.get(notebook.stem, [])
        for parameter in parameters.values():
            assert parameter["help"]
            value = ast.literal_eval(parameter["default"])
            assert type(value).__name__ == parameter["inferred_type_name"]
            assert not value  # nothing is decided before somebody decides it


def test_every_test_module_has_its_module():
    """The tests are the same tree as the code; a name with more than one module's is allowed."""
    folders = {file.parent.relative_to(PACKAGE) for file in SOURCES}
    own = {
        "attack",
        "bench",
        "browser",
        "chaos",
        "cloud_run_job",
        "cranfield",
        "end_to_end",
        "first_hour",
        "frameworks",
        "function",
        "notebooks",
        "rescue",
        "scale",
        "stand_ins",
    }
    for file in (ROOT / "tests").rglob("test_*.py"):
        folder = file.parent.relative_to(ROOT / "tests")
        assert folder in folders or folder.parts[0] in own, file


def test_no_path_of_a_machine_is_committed():
    paths = re.compile("/(home|root)/")
    files = [*SOURCES, *NOTEBOOKS, *ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "Makefile"]
    assert not [file.name for file in files if paths.search(file.read_text())]


def test_a_command_starts_without_what_only_a_comparison_needs():
    """It would take a third longer; so would `inspect` with an SDK that cannot be asked."""
    late = "{'pandas', 'scipy', 'matplotlib', 'google.genai', 'grpc'}"
    script = f"""
import sys, ragkit.runbook.cli, ragkit.runbook.questions
from ragkit.embedding.load import load_embedder
from ragkit.errors import ConfigError
for model in ("gemini-embedding-2", "text-embedding-005"):
    try:
        load_embedder(model, env={{}})
    except ConfigError:
        print("no project")
print(*{late} & set(sys.modules))
"""
    done = subprocess.run(
        [PYTHON, "-c", script], env=environment(), check=True, capture_output=True, text=True
    )
    assert done.stdout == "no project\nno project\n\n"
