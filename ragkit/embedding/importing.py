"""What a params file names by `module:attribute`: code, so that only some places are allowed."""

import os
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ragkit.errors import ConfigError, RagkitError

PLUGIN_PATH = "RAGKIT_PLUGIN_PATH"
"""The environment variable with further folders of plug-ins."""
SITE_PACKAGES = ("site-packages", "dist-packages")
_BESIDE_RAGKIT = Path(__file__).resolve().parents[2]


def import_attribute(path: str) -> Any:
    """The object behind `module:attribute`.

    Raises ConfigError when there is none, or when its module lies in no allowed place: beside
    ragkit, in site-packages, or in a folder of RAGKIT_PLUGIN_PATH. Nothing is run before.
    """
    module, _, attribute = path.partition(":")
    try:
        _require_allowed(module.partition(".")[0])
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"cannot load {path!r} as module:attribute: {error}") from error
    except RagkitError:
        raise
    except Exception as error:  # a third party's module may raise anything
        raise ConfigError(
            f"cannot load {path!r}: its module fails with {type(error).__name__}: import it by "
            "itself to see why"
        ) from None


def _require_allowed(package: str) -> None:
    """For a top-level name. The current folder and the standard library are not allowed."""
    spec = find_spec(package)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {package!r}")
    in_file = [spec.origin] if spec.has_location and spec.origin else []
    origins: list[str] = list(spec.submodule_search_locations or in_file)
    added = filter(None, os.environ.get(PLUGIN_PATH, "").split(os.pathsep))
    allowed = [_BESIDE_RAGKIT, *(Path(folder).resolve() for folder in added)]
    for origin in origins or ["/"]:  # the interpreter's own
        folder = Path(origin).resolve().parent
        if folder.name not in SITE_PACKAGES and folder not in allowed:
            place = origin if origins else "the standard library"
            raise ConfigError(
                f"{package!r} may not be loaded from {place}: a params file is code; if it is "
                f"yours, add its folder to {PLUGIN_PATH}"
            )
