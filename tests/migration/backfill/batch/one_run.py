"""A run of a backfill as a process of its own: python -m … PLAN URL."""

import sys
from pathlib import Path

import sqlalchemy as sa

from ragkit.embedding.load import load_embedder
from ragkit.migration.backfill.batch import stage
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan

if __name__ == "__main__":
    stage.POLL_SECONDS = 0.02
    plan = Plan.model_validate_json(Path(sys.argv[1]).read_text())
    migration = Migration.open(plan, sa.create_engine(sys.argv[2]))
    for _ in run_backfill(migration, load_embedder(plan.new.model, plan.facts)):
        pass
