"""Rows with the same text: their vectors are the same, so their order is chance.

Left alone, chance would count as a difference between the models, or as a win of one.
"""

from collections import defaultdict

from ragkit.comparison.metrics import Run
from ragkit.comparison.questions import Qrels

Groups = dict[str, list[str]]
"""For each row that shares its text, all rows of that text."""


def groups(texts: dict[str, str]) -> Groups:
    """Of texts by row; a row without text is like no other."""
    same: dict[str, list[str]] = defaultdict(list)
    for row, text in sorted(texts.items()):
        if text.strip():
            same[text].append(row)
    return {row: rows for rows in same.values() if len(rows) > 1 for row in rows}


def settle(run: Run, alike: Groups, qrels: Qrels) -> Run:
    """The same lists, where rows of one text stand best-judged first, then by key: for both
    models alike, so that a swap of two of them is no change."""
    if not alike:
        return run
    return {
        question: _settled(rows, alike, qrels.get(question, {})) for question, rows in run.items()
    }


def _settled(rows: list[str], alike: Groups, grades: dict[str, int]) -> list[str]:
    left: dict[str, list[str]] = {}
    found = []
    for row in rows:
        group = alike.get(row, [row])
        waiting = left.setdefault(group[0], sorted(group, key=lambda r: (-grades.get(r, 0), r)))
        found.append(waiting.pop(0))
    return found
