"""What a verdict was made of: limits, judgements, models, table and columns."""

import hashlib
from typing import Any

from ragkit.migration.plan import Plan
from ragkit.migration.plan.data import ColumnSection
from ragkit.migration.plan.plan import file_path

NOT_LIMITS = {"override", "verdict_hours"}
"""Fields of `gates` that a cut-over reads, and a comparison does not."""
JUDGED_BY = {"questions", "qrels", "old_run", "k", "text_weight", "shadow_log", "seed"}
"""Fields of `evaluation` that decide; the others are shown only."""
_FILES = ("questions", "qrels", "shadow_log", "old_run", "folder")


def provenance(plan: Plan) -> dict[str, Any]:
    """Values by the plan's field, as plain data for JSON; a file is known by its content."""
    sections = plan.model_dump(by_alias=True)
    evaluation = {name: sections["evaluation"][name] for name in JUDGED_BY}
    evaluation |= {name: _digest(evaluation[name]) for name in _FILES if name in evaluation}
    chosen = {
        "table": sections["table"],
        "old": _chosen(plan.old),
        "new": _chosen(plan.new),
        "index": {"type": sections["index"]["type"]},
        "evaluation": evaluation,
        "judging": {"folder": _digest_folder(sections["judging"]["folder"])},
        "gates": {n: v for n, v in sections["gates"].items() if n not in NOT_LIMITS},
    }
    return {
        f"{name}.{field}": value for name, part in chosen.items() for field, value in part.items()
    }


def _chosen(side: ColumnSection) -> dict[str, Any]:
    return {"model": side.model, "column": side.declared, "long_texts": side.long_texts}


def differences(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """One text for each field whose value was another one; a file's digest is left out."""
    changed = [name for name in sorted(now) if then.get(name) != now[name]]
    return [
        f"{name} has another content"
        if name.partition(".")[2] in _FILES
        else f"{name} was {then.get(name)!r} and is {now[name]!r}"
        for name in changed
    ]


def _digest_folder(name: str) -> str:
    """Of the content of the judges' files; "" without any."""
    files = sorted(file_path(name).glob("*.jsonl"))
    digests = "".join(_digest(str(file)) for file in files)
    return "sha256:" + hashlib.sha256(digests.encode()).hexdigest() if files else ""


def _digest(name: str) -> str:
    """Of a file's content; the name itself where it names none, such as known-items."""
    path = file_path(name)
    if not name or not path.is_file():
        return name
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
