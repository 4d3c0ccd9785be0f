"""The rules that findings follow: an id that stays, so that a pipeline can know one by it."""

import re
from dataclasses import dataclass
from typing import Literal

from ragkit.deploy.project_checks import Check

Severity = Literal["problem", "warning", "note"]
NOT_READY = "RK001"
"""The table cannot be migrated as it is; see `ragkit.migration.preflight`."""

RULES = {
    NOT_READY: ("table", "the table, a column, the key or a right is not as a migration needs it"),
    "RK010": ("database", "the params file does not name the database that it is about"),
    "RK011": ("pgvector", "pgvector is too old for the new column's type or index"),
    "RK012": (
        "index",
        "vectors that are too wide for the plan's index; what each choice finds and takes",
    ),
    "RK020": ("new model", "the new model does not answer"),
    "RK021": ("old model", "the old model cannot be called, or makes another dimension"),
    "RK022": ("old vectors", "rows whose old vector is not that of their text"),
    "RK023": (
        "old vectors: .*",
        "what old vectors show by themselves: length, padding, groups",
    ),
    "RK024": ("whose old vectors", "another model than the plan's explains the old vectors"),
    "RK025": (".* retires", "a model's retirement date"),
    "RK026": ("long texts", "texts that are longer than the new model takes"),
    "RK030": ("quota", "how long the quota makes the backfill last"),
    "RK031": ("disk", "how much more disk the column and its index take"),
    "RK032": ("placement", "hours, log and disk of a column and of a side table"),
    "RK033": ("judgements", "how many judged questions a verdict takes, and how many there are"),
    "RK034": ("budget", "what the backfill will cost is more than the budget leaves"),
    "RK040": ("standbys", "standbys that this role may not see, or that are behind"),
    "RK041": ("role .*", "rights that the app's role needs for ragkit's own function"),
    "RK042": ("app", "the app does not answer as the plan says, or serves another model"),
    "RK043": (
        "way to the new column",
        "objects that a view or a swap of names cannot stand beside",
    ),
    "RK044": ("connections", "for how many processes at once the server has connections left"),
    "RK050": ("all columns", "statements that take all columns of the table see one more"),
    "RK051": ("UPDATE triggers", "triggers or rules that fire for each row of the backfill"),
    "RK052": ("publications", "logical replication sends each row again"),
    "RK053": ("isolation", "transactions that fail when the backfill writes one of their rows"),
    "RK054": ("constraints", "rows that break a constraint that is not valid: no UPDATE works"),
    "RK060": ("APIs? .*|roles/.*", "APIs and roles of the Google Cloud project"),
    "RK099": (".*", "any other check"),
}
"""By id: a pattern of the check's name, and what the rule is about."""


@dataclass(frozen=True)
class Finding:
    """`fix` is what to do, "" when there is nothing."""

    rule: str
    severity: Severity
    name: str
    observed: str
    fix: str

    @property
    def passed(self) -> bool | None:
        """As of a Check: None where nothing is decided."""
        return False if self.severity == "problem" else None

    def facts(self) -> dict[str, str]:
        """In a table."""
        return {"name": f"{self.rule} {self.name}", "observed": self.observed, "fix": self.fix}


def findings(checks: list[Check]) -> list[Finding]:
    """Of the checks that did not simply pass, in their order."""
    return [
        Finding(rule_of(check.name), _severity(check), check.name, check.observed, check.fix)
        for check in checks
        if not check.passed or check.fix
    ]


def _severity(check: Check) -> Severity:
    if check.passed is False:
        return "problem"
    return "warning" if check.fix else "note"


def rule_of(name: str) -> str:
    return next(rule for rule, (pattern, _) in RULES.items() if re.fullmatch(pattern, name))
