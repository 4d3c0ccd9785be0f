"""The parameters of a notebook or a command: a params file, a run folder, overrides of the plan."""

import ast
import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragkit.checkout import ROOT
from ragkit.errors import ConfigError, PlanError

PARAMS = "RAGKIT_PARAMS"
"""The environment variable that names the params file; `make lab PARAMS=…` sets it."""


@dataclass(frozen=True)
class Parameters:
    """`overrides` are texts such as "gates.margin=0.001"; see Plan.of."""

    params: Path
    run_dir: Path
    overrides: tuple[str, ...] = ()


def default_params(env: Mapping[str, str] = os.environ) -> Path:
    """RAGKIT_PARAMS; else params/jss.yaml when the mission's environment (INSTANCE_CONNECTION_NAME
    or DATABASE_URL) is set; else the sandbox's."""
    if env.get(PARAMS):
        return ROOT / Path(env[PARAMS]).expanduser()
    own_database = env.get("INSTANCE_CONNECTION_NAME") or env.get("DATABASE_URL")
    return ROOT / "params" / ("jss.yaml" if own_database else "sandbox.yaml")


def run_folder(run_dir: str) -> Path:
    """Where a run leaves its files: `run_dir` in the checkout; empty is runs/lab. Raises
    ConfigError when a file is in the way."""
    folder = ROOT / Path(run_dir or "runs/lab").expanduser()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        raise ConfigError(f"the run folder cannot be {folder}: {there} is a file; name a folder")
    return folder


def make_private(folder: Path) -> Path:
    """The folder, made if need be, for this user only: what is written holds texts of rows."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    runs = ROOT / "runs"
    if folder.is_relative_to(runs):
        runs.chmod(0o700)
    return folder


def notebook_parameters(names: Mapping[str, Any], steps: Mapping[str, str]) -> Parameters:
    """The parameters in a notebook's globals.

    `steps` maps a parameter of this notebook to the plan's field that it sets, or to "" when the
    notebook reads it itself; False and "" leave the field to the params file. Raises PlanError for
    a wrong type and for every unknown name in the parameter cells: papermill only warns of those.
    """
    types: dict[str, Any] = {"params": str, "run_dir": str, "set": (str, list)}
    types |= {name: (bool, str) if field else bool for name, field in steps.items()}
    faults = [
        f"unknown parameter {name!r}{_suggestion(name, types)}"
        for name in _assigned_names(names.get("In", []))
        if name not in types
    ]
    values = {name: names[name] for name in types if name in names}
    faults += [
        f"{name}: expected {_type_name(types[name])}, got {value!r}"
        for name, value in values.items()
        if not isinstance(value, types[name])
    ]
    if faults:
        raise PlanError(faults)
    overrides = values.get("set", "")
    texts = overrides.splitlines() if isinstance(overrides, str) else map(str, overrides)
    params = values.get("params", "")
    return Parameters(
        ROOT / Path(params).expanduser() if params else default_params(),
        run_folder(values.get("run_dir", "")),
        (
            *(text for text in texts if text.strip()),
            *(f"{field}={'true' if values[name] is True else values[name]}"
              for name, field in steps.items() if field and values.get(name)),
        ),
    )  # fmt: skip


def _assigned_names(history: Sequence[str]) -> Iterable[str]:
    """Names that the parameter cells before the running cell assign, in order.

    `history` is IPython's In, whose last entry is the running cell. Counted are the newest cell
    that assigns `params`, with the one into which papermill injected it, and cells of plain
    values after that; so the names that an earlier run has made are never taken for parameters.
    """
    names: dict[str, None] = {}
    for source in reversed(history[:-1]):
        assigned, plain = _assignments(source)
        if plain or "params" in assigned:
            names = dict.fromkeys([*assigned, *names])
        if "params" in assigned and not source.startswith("# Parameters"):
            break
    return names


def _assignments(source: str) -> tuple[list[str], bool]:
    """The names that a cell assigns, and whether it does nothing but assign plain values."""
    lines = [line for line in source.splitlines() if not line.lstrip().startswith(("%", "!"))]
    try:
        body = ast.parse("\n".join(lines)).body
    except SyntaxError:
        return [], False
    names, plain = [], True
    for node in body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names += [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)]
            plain &= all(isinstance(t, ast.Name) for t in targets) and _is_plain(node.value)
        else:
            plain &= isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return names, plain


def _is_plain(value: ast.expr | None) -> bool:
    try:
        ast.literal_eval(value or "")
    except (ValueError, TypeError, SyntaxError):
        return False
    return True


def _suggestion(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ' (use "set" for a field of the plan)'


def _type_name(types: Any) -> str:
    return " or ".join(t.__name__ for t in (types if isinstance(types, tuple) else (types,)))
