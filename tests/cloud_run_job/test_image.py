"""What the Dockerfile installs, in an empty environment, and a backfill by it."""

import os
import shutil
import subprocess
import sys

import pytest
from packaging.utils import canonicalize_name

from ragkit.migration import phases
from ragkit.migration.migration import Migration
from ragkit.migration.plan.files.yaml_core import dump_yaml
from ragkit.migration.progress.audit import audit
from tests.cloud_run_job import dockerfile
from tests.conftest import ROOT, TEXTS, changed, make_plan, make_table
from tests.test_packaging import read_lock

SECONDS = 900
"""For fetching and unpacking the packages."""
PLACE = "/opt/ragkit"
LIST = (
    "from importlib.metadata import distributions as d; "
    "print(*(f'{one.name}=={one.version}' for one in d()))"
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Where the first stage's RUN has installed the command: as it stands, in another place, with
    this Python."""
    folder = tmp_path_factory.mktemp("image")
    place, source = folder / "ragkit", folder / "source"
    source.mkdir()
    for name in dockerfile.copied():
        ignored = shutil.ignore_patterns("__pycache__", ".env")
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name, **({"ignore": ignored} if copy is shutil.copytree else {}))
    [run] = dockerfile.values("RUN", 0)
    script = run.replace(PLACE, str(place)).replace("python -m venv", f"{sys.executable} -m venv")
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    subprocess.run(["sh", "-ec", script], cwd=source, env=clean, check=True, timeout=SECONDS)
    return place


def command(installed, *arguments, **env):
    """As the image starts it."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "DB_", "RAGKIT_"))}
    path = f"{installed / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        [*dockerfile.words("ENTRYPOINT"), *(arguments or dockerfile.words("CMD"))],
        cwd=installed.parent, env={**clean, "PATH": path, **env}, timeout=120,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.timeout(SECONDS)
def test_the_versions_are_those_of_the_lock_and_nothing_of_the_tests_is_there(installed):
    python = [installed / "bin" / "python", "-c", LIST]
    listed = subprocess.run(python, capture_output=True, text=True, check=True).stdout.split()
    found = {canonicalize_name(name): version for name, version in (x.split("==") for x in listed)}
    assert found.pop("ragkit")
    found.pop("setuptools", None)  # of each environment of Python 3.11
    locked = {name: str(version) for name, version in read_lock().items()}
    assert found.items() <= locked.items()
    assert not {"pytest", "jupyterlab", "papermill", "pip", "mypy"} & set(found)


@pytest.mark.timeout(SECONDS)
def test_it_fills_a_table_as_the_only_task_of_a_job(installed, engine, vertex, tmp_path):
    plan = make_plan({
        "new.model": "text-embedding-005", "gates.override": "a test", "app.target": "none",
        "backfill.batch_size": 0, "backfill.in_flight": 0,
    })  # fmt: skip
    make_table(engine, plan, TEXTS)
    migration = Migration.open(plan, engine)
    params = tmp_path / "mine.yaml"
    named = changed(plan, {"database.expect": migration.database})
    params.write_text(dump_yaml(named.model_dump(mode="json", by_alias=True)))
    done = command(
        installed, DATABASE_URL=engine.url.render_as_string(), RAGKIT_PARAMS=str(params),
        VERTEX_ENDPOINT=vertex.address, GCP_PROJECT_ID="p",
        CLOUD_RUN_TASK_INDEX="0", CLOUD_RUN_TASK_COUNT="1",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "task 0 of 1: column new vector: added" in done.stdout
    assert (audit(migration).pending, migration.phase()) == (0, phases.BACKFILLED)
    steered = command(
        installed, "control", "pause", DATABASE_URL=engine.url.render_as_string(),
        RAGKIT_PARAMS=str(params),
    )  # fmt: skip
    assert steered.returncode == 0, steered.stderr
