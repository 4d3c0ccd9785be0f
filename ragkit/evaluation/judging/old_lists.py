"""Where the old model's lists come from: the model, a log of what it answered, or a bridge."""

from dataclasses import dataclass

import numpy as np

from ragkit.embedding.embedder import Embedder
from ragkit.evaluation.judging.lists import Rank, search
from ragkit.evaluation.old_run import AS_LOGGED, OldRun
from ragkit.migration.migration import Migration
from ragkit.migration.rescue.service import find_bridge

BY_BRIDGE = "by a bridge"
"""Of a model whose lists are estimated: the new model's vector of a question, mapped into the old
space, is searched there."""


@dataclass(frozen=True)
class OldLists:
    """`rank` is None where nothing tells them. `named` says where they come from, "" for the old
    model itself: judgements of such lists are kept apart."""

    rank: Rank | None
    named: str = ""


def old_lists(
    migration: Migration, old: OldRun | Embedder | None, new: Embedder, rows: int
) -> OldLists:
    """`old` is None where the old model cannot be called. Raises DatabaseError."""
    model = migration.plan.old.model
    if isinstance(old, OldRun):
        return OldLists(lambda question, text: old.find(question, text) or [], logged(model))
    if old is not None:
        return OldLists(search(migration, migration.old, old.embed_query, rows))
    bridge = find_bridge(migration)
    if bridge is None:
        return OldLists(None)

    def embed(text: str) -> np.ndarray:
        return bridge.to_old(new.embed_query(text))

    return OldLists(search(migration, migration.old, embed, rows), by_bridge(model))


def logged(model: str) -> str:
    """The name of such lists."""
    return f"{model}, {AS_LOGGED}"


def by_bridge(model: str) -> str:
    """The name of such lists."""
    return f"{model}, {BY_BRIDGE}"
