"""An environment of its own for each peer, made when it is first needed."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

FOLDER = ROOT / ".venv" / "peers"
INSTALL_SECONDS = 240


class CannotRun(Exception):
    """A way that is compared cannot be run here; the text says why."""


def python_of(name: str, *requirements: str) -> Path:
    """The interpreter of the environment `name`, with `requirements` installed.

    Raises CannotRun when they cannot be installed.
    """
    folder = FOLDER / name
    python, done = folder / "bin" / "python", folder / "installed"
    wanted = "\n".join(requirements)
    if done.exists() and done.read_text() == wanted:
        return python
    for command in (
        [sys.executable, "-m", "venv", "--clear", folder],
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements],
    ):
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_SECONDS)
        except (subprocess.SubprocessError, OSError) as error:
            reason = f"{' '.join(requirements)} cannot be installed: {type(error).__name__}"
            raise CannotRun(reason) from None
    done.write_text(wanted)
    return python
