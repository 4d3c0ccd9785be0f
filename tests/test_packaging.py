"""The wheel, the dependencies that pyproject.toml declares, and the lock."""

import ast
import os
import re
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from ragkit import __version__
from ragkit.deploy.vendor import CORE
from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHONS = ("3.11.9", "3.12.9", "3.13.9")
PLATFORMS = {
    "linux": {"sys_platform": "linux", "os_name": "posix", "platform_machine": "x86_64"},
    "macos": {"sys_platform": "darwin", "os_name": "posix", "platform_machine": "arm64"},
    "windows": {"sys_platform": "win32", "os_name": "nt", "platform_machine": "AMD64"},
}
NEEDS_EXTRA = {  # the only modules of ragkit that import a package of an extra
    "sandbox": "sandbox",
    "embedding/providers/minilm.py": "sandbox",
    "embedding/providers/wordllama.py": "sandbox",
    "embedding/providers/openai.py": "openai",
    "embedding/providers/genai.py": "genai",
    "embedding/batch/openai.py": "openai",
    "embedding/batch/genai.py": "genai",
    "embedding/providers/cohere.py": "cohere",
    "embedding/providers/voyage.py": "voyage",
    "embedding/providers/fastembed.py": "fastembed",
    "embedding/providers/sentence_transformers.py": "sentence-transformers",
    "runbook/engines/dask.py": "dask",
    "runbook/metrics/": "metrics",
    "runbook/notebooks/run.py": "notebooks",
    "runbook/judging/widget.py": "notebooks",
    "runbook/notebooks/kernels.py": "notebooks",
    "runbook/report_pages/first_page.py": "notebooks",
    "runbook/report_pages/notebook_page.py": "notebooks",
    "runbook/report_pages/plan_page.py": "notebooks",
    "runbook/report_pages/tables_page.py": "notebooks",
}
NOT_LOCKED = {"sentence-transformers"}  # its torch is larger than all the rest
NOT_IN_THE_FUNCTION = {  # imported only by the runbook, or added for the models of a plan
    "cohere", "fastembed", "google-genai", "httpx", "openai", "sentence-transformers", "voyageai",
    "google-api-core", "google-cloud-aiplatform", "google-cloud-secret-manager",
    "google-cloud-storage", "grpcio", "onnxruntime", "protobuf", "tokenizers", "wordllama",
}  # fmt: skip


def requirements_of(extra: str | None = None) -> list[Requirement]:
    """The core dependencies, or those of `extra` with the extras that it includes."""
    lines = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    requirements = []
    for requirement in map(Requirement, lines):
        if requirement.name == PROJECT["name"]:
            for included in requirement.extras:
                requirements += requirements_of(included)
        else:
            requirements.append(requirement)
    return requirements


def names_of(requirements: list[Requirement]) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in requirements}


def declared_requirements() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"]
    return [
        *requirements_of(),
        *(requirement for extra in extras for requirement in requirements_of(extra)),
    ]


def read_lock(environment: dict[str, str] | None = None) -> dict[str, Version]:
    """Name and version of each package that requirements.txt installs in `environment`."""
    locked: dict[str, Version] = {}
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if text := line.partition("#")[0].strip():
            requirement = Requirement(text)
            if applies(requirement.marker, environment):
                name = canonicalize_name(requirement.name)
                assert name not in locked, f"{name} is locked twice"
                (pin,) = requirement.specifier
                assert pin.operator == "=="
                locked[name] = Version(pin.version)
    return locked


def applies(marker: Marker | None, environment: dict[str, str] | None) -> bool:
    return marker is None or marker.evaluate(environment)


def installed_closure(requirements: list[Requirement]) -> set[str]:
    """The distributions that `requirements` install, by the metadata of this environment."""
    closure: set[str] = set()
    pending = [(requirement, "") for requirement in requirements]
    visited = set()
    while pending:
        requirement, extra = pending.pop()
        if not applies(requirement.marker, {"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        closure.add(name)
        for wanted in ("", *requirement.extras):
            if (name, wanted) not in visited:
                visited.add((name, wanted))
                lines = distribution(name).requires or []
                pending += [(Requirement(line), wanted) for line in lines]
    return closure


@cache
def file_owners() -> dict[str, str]:
    """Each installed Python file, relative to site-packages, and its distribution."""
    return {
        file: name
        for installed in distributions()
        for name in [canonicalize_name(installed.metadata["Name"])]
        for file in recorded_files(installed)
        if file.endswith(".py")
    }


def recorded_files(installed: Distribution) -> list[str]:
    """Without a look at each file on the disk, which `installed.files` takes."""
    return [line.partition(",")[0] for line in (installed.read_text("RECORD") or "").splitlines()]


def imported_distributions(file: Path) -> set[str]:
    """The distributions whose modules `file` imports, inside functions too."""
    modules = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    owners = set()
    for module in modules:
        top = module.partition(".")[0]
        if top not in sys.stdlib_module_names | {"_typeshed", "ragkit"}:
            missing = next((name for name in NOT_LOCKED if name.replace("-", "_") == top), None)
            owners.add(missing or owner_of(module) or f"{module} is not installed")
    return owners


def owner_of(module: str) -> str | None:
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        path = "/".join(parts[:length])
        for candidate in (f"{path}.py", f"{path}/__init__.py"):
            if candidate in file_owners():
                return file_owners()[candidate]
    return None


def python_files(*paths: Path) -> Iterator[Path]:
    for path in paths:
        yield from path.rglob("*.py") if path.is_dir() else [path]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (file,) = folder.glob("*.whl")
    return file


class TestWheel:
    def test_holds_the_package_with_its_data_and_nothing_else(self, wheel):
        names = ZipFile(wheel).namelist()
        metadata = f"ragkit-{__version__}.dist-info/"
        package = {
            file.relative_to(ROOT).as_posix()
            for file in (ROOT / "ragkit").rglob("*")
            if file.is_file() and "__pycache__" not in file.parts
        }
        assert {name for name in names if not name.startswith(metadata)} == package
        assert "ragkit/py.typed" in package
        assert "ragkit/sandbox/data/qrels.tsv" in package
        assert any(name.startswith("ragkit/runbook/") and name.endswith(".html") for name in names)

    def test_names_the_licence_the_command_and_the_python(self, wheel):
        archive = ZipFile(wheel)
        info = f"ragkit-{__version__}.dist-info"
        licence = archive.read(f"{info}/licenses/LICENSE").decode()
        assert licence == (ROOT / "LICENSE").read_text()
        assert "Version 2.0, January 2004" in licence
        assert "APPENDIX: How to apply the Apache License to your work." in licence
        commands = archive.read(f"{info}/entry_points.txt").decode()
        assert "ragkit = ragkit.runbook.cli:main" in commands
        metadata = archive.read(f"{info}/METADATA").decode()
        assert "\nLicense-Expression: Apache-2.0\n" in metadata
        assert "\nRequires-Python: >=3.11\n" in metadata

    def test_the_checkout_and_the_wheel_have_one_version(self, wheel):
        assert wheel.name.startswith(f"ragkit-{__version__}-")

    def test_the_command_prints_its_help_with_the_core_dependencies_alone(self, wheel, tmp_path):
        """As in an empty environment; `make install-check` installs a real one."""
        ragkit = install_with_core_only(wheel, tmp_path / "environment")
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
        }
        outputs = []
        for arguments in ([], ["-h"], ["--help"]):
            result = subprocess.run(
                [ragkit, *arguments],
                cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert result.returncode == 0, result.stderr
            assert result.stderr == ""
            outputs.append(result.stdout)
        assert outputs[0].startswith("Usage: ragkit ")
        assert len(set(outputs)) == 1


def install_with_core_only(wheel: Path, folder: Path) -> Path:
    """A new environment with the wheel; returns its command.

    The other packages are those of the running environment. A module of a package that is not a
    core dependency, direct or transitive, raises ModuleNotFoundError, as if it were not there.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel],
        check=True,
    )  # fmt: skip
    core = installed_closure(requirements_of())
    owners = {file.split("/")[0].removesuffix(".py"): set() for file in file_owners()}
    for file, owner in file_owners().items():
        owners[file.split("/")[0].removesuffix(".py")].add(owner)
    hidden = {module for module, names in owners.items() if not names & core}
    assert {"functions_framework", "nbformat", "onnxruntime", "papermill", "pytest"} <= hidden
    (site_packages,) = folder.glob("lib/python*/site-packages")
    (site_packages / "core_only.py").write_text(
        "import sys\n"
        f"HIDDEN = {sorted(hidden)!r}\n"
        "class Finder:\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        if name.partition('.')[0] in HIDDEN:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Finder)\n"
    )
    running = Path(yaml.__file__).parents[1]
    (site_packages / "core_only.pth").write_text(f"{running}\nimport core_only\n")
    return folder / "bin" / "ragkit"


class TestDependencies:
    @pytest.mark.parametrize("python", PYTHONS)
    @pytest.mark.parametrize("platform", PLATFORMS)
    def test_the_lock_satisfies_every_declared_dependency(self, platform, python):
        minor = python.rpartition(".")[0]
        environment = PLATFORMS[platform] | {
            "python_full_version": python, "python_version": minor,
        }  # fmt: skip
        locked = read_lock(environment)
        for requirement in declared_requirements():
            if requirement.marker and not requirement.marker.evaluate(environment):
                continue
            if requirement.name in NOT_LOCKED:
                continue
            version = locked[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version), f"{requirement}: run make lock"

    def test_the_lock_holds_every_transitive_dependency(self):
        locked, missing = read_lock(), set()
        for name in locked:
            try:
                missing |= installed_closure([Requirement(name)]) - set(locked)
            except PackageNotFoundError as error:
                missing.add(f"{error.name} is not installed")
        assert not missing

    def test_the_lock_names_no_index_and_no_path(self):
        text = (ROOT / "requirements.txt").read_text()
        assert text.startswith("# This file was autogenerated by uv")
        assert not re.search(r"https?:|file:|--|[ =]/", text)

    def test_each_module_imports_only_what_its_part_of_the_project_declares(self):
        core, undeclared = names_of(requirements_of()), {}
        for file in python_files(ROOT / "ragkit"):
            path = file.relative_to(ROOT / "ragkit").as_posix()
            extras = [extra for part, extra in NEEDS_EXTRA.items() if path.startswith(part)]
            declared = core.union(*(names_of(requirements_of(extra)) for extra in extras))
            if surplus := imported_distributions(file) - declared:
                undeclared[path] = surplus
        assert not undeclared

    def test_every_core_dependency_is_imported(self):
        imported = set()
        for file in python_files(ROOT / "ragkit"):
            imported |= imported_distributions(file)
        assert names_of(requirements_of()) <= imported

    def test_the_function_requires_exactly_what_it_imports(self):
        imported = set()
        for file in python_files(
            ROOT / "function" / "main.py", *(ROOT / "ragkit" / name for name in CORE)
        ):
            if file.suffix == ".py":
                imported |= imported_distributions(file)
        function = map(Requirement, (ROOT / "function" / "requirements.txt").read_text().split())
        assert imported - NOT_IN_THE_FUNCTION == names_of(list(function))

    def test_the_functions_requirements_are_pinned_as_in_the_lock(self):
        locked = read_lock()
        for line in (ROOT / "function" / "requirements.txt").read_text().split():
            requirement = Requirement(line)
            version = locked[canonicalize_name(requirement.name)]
            if line not in ("functions-framework==3.*", "Flask"):
                assert str(requirement.specifier) == f"=={version}"
            assert requirement.specifier.contains(version)

    def test_the_hooks_run_the_locked_versions(self):
        config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
        locked = read_lock()
        hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
        for hook in hooks:
            (pin,) = map(Requirement, hook["additional_dependencies"])
            assert str(pin.specifier) == f"=={locked[canonicalize_name(pin.name)]}"
        assert {hook["entry"].split()[0] for hook in hooks} == {"ruff", "nbstripout"}
