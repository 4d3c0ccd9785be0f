"""Reads a params file, and applies `--set section.field=value` on top of it."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ragkit.errors import PlanError
from ragkit.migration.plan.files.yaml_core import load_yaml


def read_sections(path: Path) -> dict[str, object]:
    """The sections of a params file. Raises PlanError when it is no such file."""
    try:
        sections = load_yaml(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        raise PlanError([f"there is no file {path}; name one with --params"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError([f"cannot read {path}: {type(error).__name__}"]) from None
    except yaml.YAMLError as error:
        raise PlanError([f"{path} is not YAML: {_problem(error)}"]) from None
    if not isinstance(sections, dict):
        raise PlanError([f"{path} must hold sections, got {type(sections).__name__}"])
    return {str(name): value for name, value in sections.items()}


def apply_overrides(
    sections: Mapping[str, object], overrides: Sequence[str], texts: Collection[str]
) -> tuple[dict[str, Any], list[str]]:
    """The sections with the overrides applied, and the faults of overrides that are malformed.

    The value of a field in `texts` is taken as it is, without the quotes around it; another value
    is read as YAML, so that "gates.margin=0.001" sets a number. Faults never repeat a value.
    """
    merged = {name: _given(section) for name, section in sections.items()}
    faults = []
    for override in overrides:
        path, equals, value = (part.strip() for part in override.partition("="))
        section, dot, field = (part.strip() for part in path.partition("."))
        place = path.partition("://")[0]
        if not (equals and dot and section and field):
            faults.append(f"set {place!r}: expected section.field=value")
            continue
        try:
            held = merged.setdefault(section, {})
            if isinstance(held, dict):  # else the section itself is a fault, told by the Plan
                held[field] = _unquoted(value) if f"{section}.{field}" in texts else _read(value)
        except yaml.YAMLError as error:
            faults.append(f"set {place!r}: the value is not YAML: {_problem(error)}")
    return merged, faults


def _given(section: object) -> Any:
    """A copy without null: a field or section whose content is commented out has its default."""
    if section is None:
        return {}
    if isinstance(section, dict):
        return {name: value for name, value in section.items() if value is not None}
    return section


def _read(text: str) -> Any:
    value = load_yaml(text)
    return "" if value is None else value


def _unquoted(text: str) -> str:
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if quoted else text


def _problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    line = f" in line {mark.line + 1}" if mark else ""
    return f"{getattr(error, 'problem', None) or type(error).__name__}{line}"
