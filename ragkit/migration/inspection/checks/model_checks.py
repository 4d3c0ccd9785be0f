"""Whether both models can be called, and whether the old vectors and the texts fit them."""

from collections.abc import Iterator
from datetime import date

from ragkit.deploy.project_checks import Check
from ragkit.embedding.catalogue import Model
from ragkit.embedding.embedder import PROBE_TEXT, Embedder
from ragkit.errors import ModelError
from ragkit.migration import phases
from ragkit.migration.inspection.fidelity import measure_fidelity
from ragkit.migration.inspection.long_texts import pending_lengths
from ragkit.migration.inspection.vector_traits import read_traits
from ragkit.migration.inspection.whose.identification import Identification
from ragkit.migration.migration import Migration

WARNING_DAYS = 365
"""Before a model's retirement."""
MIN_SHARE = 0.5
"""Of the sampled rows, for an explanation of the old vectors to be told."""


def check_models(
    migration: Migration,
    old: Embedder | None,
    new: Embedder,
    identification: Identification,
    today: date,
) -> Iterator[Check]:
    """As check_readiness. Raises DatabaseError."""
    yield _new_model(new)
    yield _old_model(old, migration)
    yield from _old_vectors(old, migration)
    yield from _whose_vectors(identification, migration)
    yield _retirement(migration.plan.old.model, old.model if old else None, today)
    yield _retirement(new.model.name, new.model, today)
    yield _long_texts(migration, new)


def _new_model(embedder: Embedder) -> Check:
    try:
        embedder.embed_query(PROBE_TEXT)
    except ModelError as error:
        return Check("new model", str(error), False)
    return Check("new model", "answers", True)


def _old_model(embedder: Embedder | None, migration: Migration) -> Check:
    if embedder:
        stored, made = migration.old.space.dimension, embedder.model.dimension
        if made != stored:
            observed = f"makes {made} dimensions, {migration.old.column} has {stored}"
            return Check("old model", observed, False, "set old.model to the one that made them")
        return Check("old model", "answers", True)
    consequence = "stored vectors are compared; a rollback can answer no questions"
    return Check("old model", "cannot be called", None, consequence)


def _old_vectors(embedder: Embedder | None, migration: Migration) -> Iterator[Check]:
    """Whether they are the old model's; what they show themselves, if not or if it cannot tell."""
    if migration.phase() == phases.RETIRED:
        return
    if embedder:
        try:
            fidelity = measure_fidelity(migration, migration.old_vector, embedder)
        except ModelError as error:
            yield Check("old vectors", str(error), None)
            return
        advice = "set old.model and table.content to what made them, or embed these rows again"
        passed = not fidelity.foreign if fidelity.rows else None
        yield Check("old vectors", fidelity.describe(), passed, "" if passed else advice)
        if passed:
            return
    if traits := read_traits(migration):
        yield from traits.checks()


def _whose_vectors(identification: Identification, migration: Migration) -> Iterator[Check]:
    """Only where the plan says something else than what was found."""
    best, plan = identification.best, migration.plan
    if best is None or best.share < MIN_SHARE:
        return
    names = (best.model, best.template, best.task)
    if names == (plan.old.model, plan.table.content, ""):
        return
    if best.template in (plan.table.content, *identification.columns) and not best.task:
        fix = f"set old.model: {best.model} and table.content: {best.template}"
    else:
        fix = f"set old.model: {best.model}; new vectors are made of {plan.table.content} alone"
    yield Check("whose old vectors", identification.describe(), None, fix)


def _retirement(name: str, model: Model | None, today: date) -> Check:
    if model is None or model.retires is None:
        return Check(f"{name} retires", "no date known", None)
    if model.is_retired(today):
        return Check(f"{name} retires", f"retired on {model.retires}", None)
    days = (model.retires - today).days
    advice = "plan the next migration (params/next.yaml)" if days < WARNING_DAYS else ""
    return Check(f"{name} retires", f"{model.retires}, in {days} days", True, advice)


def _long_texts(migration: Migration, embedder: Embedder) -> Check:
    """Undecided as long as the gate would let so many dead letters pass."""
    lengths, long_texts = pending_lengths(migration, embedder), migration.plan.new.long_texts
    observed = lengths.describe(long_texts)
    if lengths.limit is None:
        return Check("long texts", observed, None)
    if not lengths.too_long or long_texts != "refuse":
        return Check("long texts", observed, True)
    passed = None if lengths.too_long <= migration.plan.gates.dead_letters else False
    return Check("long texts", observed, passed, "set new.long_texts: pieces")
