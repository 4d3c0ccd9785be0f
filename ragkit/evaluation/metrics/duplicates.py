"""Rows with the same text have the same vector, so their order in a ranked list is arbitrary.

Without this module an arbitrary order would count as a difference between the models.
"""

from collections import defaultdict

from ragkit.evaluation.metrics.trec import Qrels, Rankings

DuplicateGroups = dict[str, list[str]]
"""For each row that shares its text, all rows with that text."""


def duplicate_groups(texts: dict[str, str]) -> DuplicateGroups:
    """The groups of `texts`, which are by row. Rows with a blank text are in no group."""
    rows_by_text: dict[str, list[str]] = defaultdict(list)
    for row, text in sorted(texts.items()):
        if text.strip():
            rows_by_text[text].append(row)
    return {row: rows for rows in rows_by_text.values() if len(rows) > 1 for row in rows}


def order_duplicates(rankings: Rankings, groups: DuplicateGroups, qrels: Qrels) -> Rankings:
    """The lists with the rows of each group in a fixed order: best grade first, then by key.

    A list that shows n rows of a group shows the first n of that order, so two lists that differ
    only within groups become equal.
    """
    if not groups:
        return rankings
    return {
        question: _order_rows(rows, groups, qrels.get(question, {}))
        for question, rows in rankings.items()
    }


def _order_rows(rows: list[str], groups: DuplicateGroups, grades: dict[str, int]) -> list[str]:
    remaining: dict[str, list[str]] = {}
    ordered = []
    for row in rows:
        group = groups.get(row, [row])
        unused = remaining.setdefault(
            group[0], sorted(group, key=lambda member: (-grades.get(member, 0), member))
        )
        ordered.append(unused.pop(0))
    return ordered
