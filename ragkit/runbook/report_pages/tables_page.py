"""The first page of a run of several tables: each with its verdict, and a link to its own pages."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, select_autoescape

from ragkit.migration.plan import Plan
from ragkit.migration.verdict import GO, INCONCLUSIVE, NO_GO
from ragkit.runbook.notebooks.run import Outcome

COLOURS = {GO: "go", NO_GO: "no"}


def write_tables_page(run_dir: Path, plans: Sequence[Plan], outcomes: Sequence[Outcome]) -> Path:
    """index.html. Raises OSError."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape(),
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    verdict = together([outcome.verdict for outcome in outcomes])
    body = environment.get_template("tables.html").render(
        name=run_dir.name,
        headline=verdict or "No verdict",
        tables=list(zip(plans, outcomes, strict=True)),
        answer=outcomes[-1].answer,
        colour=lambda verdict: COLOURS.get(verdict, "open"),
        verdict=verdict,
    )
    page = run_dir / "index.html"
    page.write_text(body, encoding="utf-8")
    return page


def together(verdicts: Sequence[str | None]) -> str | None:
    """The worst of them: one app is switched for all tables."""
    return next((worst for worst in (NO_GO, None, INCONCLUSIVE) if worst in verdicts), GO)
