"""The lists of an app that fuses vectors and full text, in the place of those of vectors alone."""

from dataclasses import replace

from ragkit.errors import ConfigError
from ragkit.evaluation.hybrid.fusion import fuse_all
from ragkit.evaluation.hybrid.lists import by_vectors, by_words
from ragkit.evaluation.metrics.trec import Rankings
from ragkit.evaluation.questions import QuestionSet
from ragkit.evaluation.runs import RetrievalRun
from ragkit.migration.migration import Migration
from ragkit.retrieval.space import Binding


def words_of_app(migration: Migration, questions: QuestionSet) -> Rankings | None:
    """None where the app searches vectors alone. Raises ConfigError where it does not, and the
    table cannot be searched by words here; or DatabaseError."""
    if not migration.plan.evaluation.text_weight:
        return None
    words = by_words(migration, questions)
    if words is None:
        raise ConfigError(
            "evaluation.text_weight is set, but the table is too large to be searched by words as "
            "it is: give it a generated tsvector column of the content, with an index, as the "
            "app's own search has it, or set text_weight to 0"
        )
    return words


def fused_run(
    migration: Migration, binding: Binding, run: RetrievalRun, words: Rankings
) -> RetrievalRun:
    """The run with fused lists. Distances stay those of vectors. Raises DatabaseError."""
    section = migration.plan.evaluation

    def fused(is_exact: bool) -> Rankings:
        vectors = by_vectors(migration, binding, run, is_exact)
        return fuse_all(vectors, words, section.text_weight, section.k)

    if run.served is run.exact:
        same = replace(run.exact, rankings=fused(is_exact=True))
        return replace(run, exact=same, served=same)
    exact = replace(run.exact, rankings=fused(is_exact=not run.widened))
    return replace(run, exact=exact, served=replace(run.served, rankings=fused(is_exact=False)))
