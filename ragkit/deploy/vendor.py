"""Builds the function's source: main.py, its requirements, and a copy of ragkit's core.

A real copy: gcloud drops a directory symlink without a word.
"""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ragkit.checkout import PACKAGE, ROOT
from ragkit.errors import ConfigError

FUNCTION = ROOT / "function"
CORE = ("__init__.py", "deadline.py", "errors.py", "py.typed", "embedding", "database", "retrieval")
"""What the function needs, by name: a new module or folder is never shipped by accident."""

FILES = ("main.py", "requirements.txt", ".gcloudignore")
"""The function's own files."""
MODEL_FACTS = "model_facts.json"
"""Beside them, where the plan says more of a model than the catalogue."""


def vendor_core(target: Path = FUNCTION, package: Path = PACKAGE) -> Path:
    """Puts the core of `package` into `target`/ragkit, replacing an older copy; returns it.

    Raises ConfigError for the default target outside of a checkout, and for a target whose ragkit
    is not such a copy.
    """
    if target == FUNCTION and not (FUNCTION / "main.py").is_file():
        raise ConfigError(f"{FUNCTION} holds no main.py: run this in a checkout, or name a target")
    copy = target / "ragkit"
    names = {entry.name for entry in copy.iterdir()} if copy.exists() else set()
    if copy.resolve() == package.resolve() or names - {*CORE, "__pycache__"}:
        raise ConfigError(f"{copy} is no vendored copy and would be replaced: name another target")
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target, prefix=".vendor-") as folder:
        fresh = Path(folder) / "ragkit"
        fresh.mkdir()
        for name in CORE:
            source = package / name
            if source.is_dir():
                shutil.copytree(source, fresh / name, ignore=_no_code)
            else:
                shutil.copy2(source, fresh / name)
        if copy.exists():
            copy.rename(Path(folder) / "old")
        fresh.rename(copy)
    return copy


def build_source(target: Path, requirements: Sequence[str] = (), facts: str = "") -> Path:
    """A complete source folder of the function in `target`: what a deployment uploads. Its models
    may need more `requirements`, and `facts` about them, as JSON."""
    target.mkdir(parents=True)
    for name in FILES:
        shutil.copy2(FUNCTION / name, target)
    with (target / "requirements.txt").open("a") as file:
        file.writelines(f"{line}\n" for line in requirements)
    if facts:
        (target / MODEL_FACTS).write_text(facts)
    vendor_core(target)
    return target


def _no_code(folder: str, names: list[str]) -> set[str]:
    """What is left out of a folder: editors and operating systems leave files of their own."""
    kept = {n for n in names if n.endswith(".py") or (Path(folder) / n).is_dir()}
    return set(names) - kept | {"__pycache__"}
