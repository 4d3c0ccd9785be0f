"""A params file with comments, from a proposal."""

import tempfile
from datetime import date
from pathlib import Path

from ragkit.errors import ConfigError
from ragkit.migration.discovery.proposal import Proposal
from ragkit.migration.plan import Plan
from ragkit.migration.plan.files.yaml_core import dump_yaml
from ragkit.migration.plan.section import fields

WIDTH = 34
"""Where comments begin."""
_MORE = """
# What the comparison decides by. Without judged questions the verdict is INCONCLUSIVE at best.
# evaluation:
#   questions: params/questions.jsonl   # JSON lines: {"_id": "q1", "text": "…"}
#   qrels: params/qrels.tsv             # query-id, corpus-id (a value of table.key), score
#
# Limits of the verdict, and of what the backfill may cost; `ragkit params` lists every field.
# gates:
#   margin: 0.04
# backfill:
#   budget_usd: 20.0
"""


def render(proposal: Proposal, today: date) -> str:
    """YAML that Plan.from_file reads; an empty field is left out."""
    lines = [f"# Written by `ragkit init` on {today.isoformat()}; change what you like."]
    lines += [f"# {_one_line(note)}" for note in proposal.notes]
    for section, values in proposal.sections.items():
        given = {name: value for name, value in values.items() if value}
        if not given:
            continue
        lines.append(f"{section}:")
        for name, value in given.items():
            entry = f"  {name}: {_scalar(value)}"
            lines.append(f"{entry:<{WIDTH}}  # {_comment(proposal, f'{section}.{name}')}")
    return "\n".join(lines) + "\n" + _MORE


def write(path: Path, text: str, *, replace: bool = False) -> Path:
    """Whole or not at all. Raises ConfigError when the file exists, unless `replace`."""
    if path.exists() and not replace:
        raise ConfigError(f"{path} exists: name another file with --output, or add --force")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    fresh = Path(file.name)
    fresh.chmod(0o644)
    fresh.rename(path)
    return path


def _comment(proposal: Proposal, field: str) -> str:
    if reason := proposal.reasons.get(field):
        return reason
    descriptions = {name: str(info.description) for name, info in fields(Plan)}
    return _one_line(descriptions[field].partition(";")[0].partition(", such as")[0])


def _scalar(value: str | list[str]) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_scalar, value))}]"
    if value.isprintable():
        return dump_yaml([value]).removeprefix("- ").rstrip("\n")
    return dump_yaml(value, style='"').rstrip("\n")


def _one_line(text: str) -> str:
    return "".join(c for c in " ".join(text.split()) if c.isprintable())
