"""What the backfills of all tables of a params file cost together, beside their one budget."""

from collections.abc import Sequence
from dataclasses import dataclass

from ragkit.deploy.project_checks import Check
from ragkit.migration.backfill.model_calls.costs import read_usd
from ragkit.migration.inspection.rules import Finding, findings
from ragkit.migration.migration import Migration
from ragkit.migration.preview.preview import Preview


@dataclass(frozen=True)
class TotalCost:
    """`rows`, `requests`, `tokens` and `usd` are estimates of what is still to do; `spent_usd` was
    spent before; `budget_usd` is 0 where there is none."""

    rows: int
    requests: int
    tokens: int
    usd: float
    spent_usd: float
    budget_usd: float

    def facts(self) -> dict[str, str]:
        """As people read it."""
        return {
            "rows": f"{self.rows:,}",
            "requests": f"{self.requests:,}",
            "tokens": f"{self.tokens:,}",
            "cost": f"${self.usd:,.4f}",
            "spent before": f"${self.spent_usd:,.4f}",
            "budget": f"${self.budget_usd:g}" if self.budget_usd else "none",
        }

    def finding(self) -> Finding | None:
        """A problem, when the backfill would stop at the budget."""
        if not self.budget_usd or self.spent_usd + self.usd <= self.budget_usd:
            return None
        observed = (
            f"about ${self.usd:.4f} are still to be spent and ${self.spent_usd:.4f} are spent, "
            f"of ${self.budget_usd:g}"
        )
        [finding] = findings([Check("budget", observed, False, "raise backfill.budget_usd")])
        return finding


def add_up(migrations: Sequence[Migration], previews: Sequence[Preview]) -> TotalCost:
    """Of one table or of several; what siblings that are not among them have spent counts too.
    Raises DatabaseError."""
    figures = [preview.figures for preview in previews]
    first = migrations[0]
    return TotalCost(
        rows=sum(figure.rows for figure in figures),
        requests=sum(figure.requests for figure in figures),
        tokens=sum(figure.tokens for figure in figures),
        usd=round(sum(figure.usd for figure in figures), 4),
        spent_usd=round(read_usd(first, with_siblings=True), 4),
        budget_usd=first.plan.backfill.budget_usd,
    )
