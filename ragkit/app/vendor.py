"""Builds the function's source: main.py, its requirements, and a copy of ragkit's core.

A real copy: gcloud drops a directory symlink without a word.
"""

import shutil
import tempfile
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
FUNCTION = PACKAGE.parent / "function"
NOT_VENDORED = ("__main__.py", "app", "comparison", "migration", "runbook", "sandbox", "view")
"""What the runbook adds. The core, which is the rest, imports nothing of it (a test holds that)."""

_DROP = shutil.ignore_patterns("__pycache__", "*.pyc")


def vendor(target: Path = FUNCTION) -> Path:
    """Puts the core into `target`/ragkit, replacing an older copy, and returns that folder."""
    copy = target / "ragkit"
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target, prefix=".vendor-") as folder:
        fresh = Path(folder) / "ragkit"
        shutil.copytree(PACKAGE, fresh, ignore=_ignored)
        if copy.exists():
            copy.rename(Path(folder) / "old")
        fresh.rename(copy)
    return copy


def build(target: Path) -> Path:
    """A complete source folder of the function in `target`: what a deployment uploads."""
    target.mkdir(parents=True)
    for file in FUNCTION.iterdir():
        if file.is_file():
            shutil.copy2(file, target)
    vendor(target)
    return target


def _ignored(folder: str, names: list[str]) -> set[str]:
    dropped = set(_DROP(folder, names))
    return dropped | set(NOT_VENDORED) if Path(folder) == PACKAGE else dropped
