"""The files that gcloud uploads, installed into an empty environment as Google's build does."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from ragkit.deploy.vendor import build_source
from ragkit.sandbox.sample import amenities, sample_rows
from tests.conftest import PYTHON, ROLE
from tests.function.serve import serve_function
from tests.stand_ins import vertex

MODEL = "textembedding-gecko@001"
PYTHONS = ["python3.12", sys.executable]
"""The function's runtime, where it is installed, and the Python that runs the tests."""


def is_installed(python: str) -> bool:
    path = shutil.which(python)
    return bool(path) and subprocess.run([path, "-c", ""], check=False).returncode == 0


@pytest.fixture(scope="module")
def upload(tmp_path_factory) -> Path:
    """The files that .gcloudignore does not exclude; git reads it, because its rules are git's."""
    source = build_source(tmp_path_factory.mktemp("upload") / "source")
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "main.pyc").touch()
    subprocess.run(["git", "init", "-q", source], check=True)
    names = subprocess.run(
        ["git", "-C", source, "ls-files", "--others", "--exclude-from=.gcloudignore"],
        check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    assert not [name for name in names if "__pycache__" in name]
    uploaded = source.parent / "uploaded"
    for name in names:
        (uploaded / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / name, uploaded / name)
    return uploaded


@pytest.mark.timeout(280)
@pytest.mark.parametrize("python", PYTHONS, ids=lambda name: Path(name).name)
def test_the_function_needs_nothing_but_its_own_requirements(python, upload, server, tmp_path):
    if not is_installed(python):
        pytest.skip(f"{python} is not installed")
    home = tmp_path / "environment"
    subprocess.run([python, "-m", "venv", "--without-pip", home], check=True)
    pip = [PYTHON, "-m", "pip", "--python", home, "install", "--quiet", "--no-compile"]
    install = subprocess.run(
        [*pip, "-r", upload / "requirements.txt"], capture_output=True, text=True, check=False
    )
    assert install.returncode == 0, install.stderr
    name = f"install {Path(python).name} {os.getpid()}"
    server.create(name, owner=ROLE)
    engine = server.engine(ROLE, name)
    row = sample_rows()[0]
    with engine.begin() as connection:
        table = amenities(768)
        table.create(connection)
        vector = vertex.made(MODEL, row["content"])
        connection.execute(sa.insert(table), [row | {"embedding": vector}])
    with (
        vertex.serving() as models,
        serve_function(
            upload, python=home / "bin" / "python", DATABASE_URL=engine.url.render_as_string(),
            EMBEDDING_MODEL=MODEL, GCP_PROJECT_ID="p", VERTEX_ENDPOINT=models.address,
        ) as client,
    ):  # fmt: skip
        answer = client.post("/", json={"name": "restaurants"})
    engine.dispose()
    expected = {"name": row["name"], "description": row["description"]}
    assert answer.json() == {"results": [expected]}
