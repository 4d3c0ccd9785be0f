"""A reviewed plan: the preview as a file, and the refusal to run it once it no longer fits."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ragkit.errors import ConfigError, DriftError
from ragkit.migration import phases
from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan
from ragkit.migration.plan.tables.entries import TABLES
from ragkit.migration.plan.tables.load import relate
from ragkit.migration.preview.fingerprint import Fingerprint
from ragkit.migration.preview.preview import FORMAT, Preview

SUFFIX = ".json"
"""Of a params file that is a reviewed plan."""


@dataclass(frozen=True)
class ReviewedPlan:
    """Of one table. `database` is the one that the plan was made for."""

    path: Path
    plan: Plan
    database: str
    fingerprint: Fingerprint

    @classmethod
    def load(cls, path: Path) -> list[Self]:
        """One for each table. Raises ConfigError when the file is no plan of `ragkit plan`, or
        PlanError."""
        try:
            document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            form = document["format"]
            read = [
                (part["plan"], part["database"], Fingerprint(**part["fingerprint"]))
                for part in document.get(TABLES, [document])
            ]
        except FileNotFoundError:
            raise ConfigError(f"there is no file {path}: write it with ragkit plan -o") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{path} is no plan of `ragkit plan -o` ({type(error).__name__}): make it again"
            ) from None
        if form != FORMAT:
            raise ConfigError(f"{path} has format {form}, expected {FORMAT}: make it again")
        plans = relate([Plan.of(values) for values, _, _ in read])
        return [
            cls(path, plan, database, fingerprint)
            for plan, (_, database, fingerprint) in zip(plans, read, strict=True)
        ]

    def require_no_drift(self, migration: Migration) -> None:
        """After the retirement nothing is left that could be run. Raises DriftError, which tells
        what is another thing now, or DatabaseError."""
        if migration.phase() == phases.RETIRED:
            return
        drift = self.fingerprint.differences(Fingerprint.of(migration))
        if self.database != migration.database:
            drift.insert(0, f"it was made for {self.database}, this is {migration.database}")
        if drift:
            raise DriftError(
                f"{self.path.name} no longer fits: {'; '.join(drift)}; nothing was changed: review "
                "a new one (ragkit plan -o)"
            )


def save(previews: Sequence[Preview], path: Path) -> Path:
    """One file, of one table or of several. Raises OSError."""
    documents = [preview.as_json() for preview in previews]
    whole = documents[0] if len(documents) == 1 else {"format": FORMAT, TABLES: documents}
    text = json.dumps(whole, indent=2, ensure_ascii=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
    return path
