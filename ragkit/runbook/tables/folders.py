"""Where the files of a table are, beside those of its siblings."""

import re
from pathlib import Path

from ragkit.migration.plan import Plan


def table_folder(run_dir: Path, plan: Plan) -> Path:
    """Such as 2-policies in the run folder; the run folder itself for a table without siblings."""
    if not plan.siblings:
        return run_dir
    name = re.sub(r"[^a-z0-9]+", "-", plan.table.name.lower()).strip("-")
    return run_dir / f"{plan.number}-{name}".rstrip("-")
