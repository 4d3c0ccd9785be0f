"""What gcloud would upload, installed into an empty environment as Google's build does, served."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from ragkit.app.vendor import build
from ragkit.sandbox.stand_in import amenities, sample_rows
from tests.conftest import ROLE
from tests.function.test_function import served
from tests.stand_ins import vertex

MODEL = "textembedding-gecko@001"
PYTHONS = ["python3.12", sys.executable]
"""The function's runtime where it is here, and the one that runs the tests."""


def runs(python: str) -> bool:
    found = shutil.which(python)
    return bool(found) and subprocess.run([found, "-c", ""], check=False).returncode == 0


@pytest.fixture(scope="module")
def upload(tmp_path_factory) -> Path:
    """The files that .gcloudignore leaves; its rules are those of .gitignore."""
    whole = build(tmp_path_factory.mktemp("upload") / "whole")
    (whole / "__pycache__").mkdir()
    (whole / "__pycache__" / "main.pyc").touch()
    subprocess.run(["git", "init", "-q", whole], check=True)
    listed = subprocess.run(
        ["git", "-C", whole, "ls-files", "--others", "--exclude-from=.gcloudignore"],
        check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    assert not [name for name in listed if "__pycache__" in name]
    left = whole.parent / "uploaded"
    for name in listed:
        (left / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(whole / name, left / name)
    return left


@pytest.mark.timeout(280)
@pytest.mark.parametrize("python", PYTHONS, ids=lambda name: Path(name).name)
def test_it_serves_with_its_own_requirements_alone(python, upload, server, tmp_path):
    if not runs(python):
        pytest.skip(f"{python} is not here")
    home = tmp_path / "environment"
    subprocess.run([python, "-m", "venv", home], check=True)
    pip = [home / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-compile"]
    done = subprocess.run(
        [*pip, "-r", upload / "requirements.txt"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
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
        served(
            upload, python=home / "bin" / "python", DATABASE_URL=engine.url.render_as_string(),
            EMBEDDING_MODEL=MODEL, GCP_PROJECT_ID="p", VERTEX_ENDPOINT=models.address,
        ) as client,
    ):  # fmt: skip
        answer = client.post("/", json={"name": "restaurants"})
    engine.dispose()
    wanted = {"name": row["name"], "description": row["description"]}
    assert answer.json() == {"results": [wanted]}
