"""Where the project's files are: notebooks/, params/, function/, runs/."""

import os
from collections.abc import Mapping
from pathlib import Path

from ragkit.errors import ConfigError

PACKAGE = Path(__file__).resolve().parent


def find_root(start: Path) -> Path:
    """The checkout that holds this package; for an installed package, the nearest one at or above
    `start`; else `start` itself."""
    folders = (PACKAGE.parent, start, *start.parents)
    return next((folder for folder in folders if is_checkout(folder)), start)


def is_checkout(folder: Path) -> bool:
    return (folder / "notebooks" / "01_inspect.ipynb").is_file()


def require_checkout() -> None:
    """Raises ConfigError where the notebooks are not at hand."""
    if not is_checkout(ROOT):
        raise ConfigError(f"{ROOT} is no checkout of ragkit: the notebooks are there, run it there")


ROOT = find_root(Path.cwd())
"""Relative paths of a params file and of `run_dir` start here."""


def child_path(env: Mapping[str, str] = os.environ) -> str:
    """PYTHONPATH for a process that is to import ragkit from here."""
    return os.pathsep.join(filter(None, (str(ROOT), env.get("PYTHONPATH"))))
