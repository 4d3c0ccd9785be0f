"""The sample table: `amenities` of an invented airport, with the Jump Start Solution's columns."""

import csv
from pathlib import Path

import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR

TABLE = "amenities"
OLD_MODEL, OLD_COLUMN = "wordllama-256", "embedding"
DATA = Path(__file__).with_name("data")
QUESTIONS = DATA / "questions.jsonl"
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")


def amenities(dimension: int) -> sa.Table:
    """The table with exactly the columns of the Jump Start Solution, in its order."""
    texts = ("name", "description", "location", "terminal", "category", "hour")
    hours = [f"{day}_{edge}_hour" for day in _DAYS for edge in ("start", "end")]
    return sa.Table(
        TABLE,
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.Text) for name in texts),
        *(sa.Column(name, sa.Time) for name in hours),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column(OLD_COLUMN, VECTOR(dimension), nullable=False),
    )


def sample_rows() -> list[dict[str, str | None]]:
    """The shipped amenities; an empty cell is NULL."""
    with (DATA / "amenities.csv").open(newline="", encoding="utf-8") as file:
        return [{k: v or None for k, v in row.items()} for row in csv.DictReader(file)]
