"""What can be said of the Dockerfile without building it."""

import yaml

from tests.cloud_run_job import dockerfile
from tests.conftest import ROOT
from tests.test_packaging import PROJECT

IGNORE = ROOT / ".dockerignore"


def test_what_it_copies_is_there_and_all_that_is_sent():
    for name in dockerfile.copied():
        assert (ROOT / name).exists()
    lines = IGNORE.read_text().splitlines()
    assert lines.index("*") < min(lines.index(f"!{name}") for name in dockerfile.copied())
    assert {line[1:] for line in lines if line[:1] == "!"} == set(dockerfile.copied())


def test_the_lock_is_among_it_and_binds_what_is_installed():
    [run] = dockerfile.values("RUN", 0)
    assert "requirements.txt" in dockerfile.copied()
    assert "pip install --no-cache-dir --constraint requirements.txt" in run


def test_it_starts_the_command_as_a_user_without_rights():
    assert dockerfile.values("USER", 1) == ["10001"]
    assert any("--uid 10001" in run for run in dockerfile.values("RUN", 1))
    assert set(dockerfile.words("ENTRYPOINT")) <= set(PROJECT["scripts"])
    assert dockerfile.words("CMD") == ["backfill"]
    last = [one.name for one in dockerfile.read() if one.stage == 1]
    assert last.index("USER") > max(n for n, name in enumerate(last) if name in ("RUN", "COPY"))


def test_its_python_is_one_that_the_package_supports():
    [version] = {image.split()[0] for image in dockerfile.values("FROM")}
    assert version.startswith("python:") and version.endswith("-slim")
    number = version.removeprefix("python:").removesuffix("-slim")
    assert f"Programming Language :: Python :: {number}" in PROJECT["classifiers"]


def test_cloud_build_builds_it():
    build = yaml.safe_load((dockerfile.FILE.parent / "cloudbuild.yaml").read_text())
    [step] = build["steps"]
    assert f"--file={dockerfile.FILE.relative_to(ROOT)}" in step["args"]
    assert f"--tag={build['images'][0]}" in step["args"]
