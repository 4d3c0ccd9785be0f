"""The lists that are fused: the first rows by the words of a question, and by its vector."""

from ragkit.database.translate import translate_errors
from ragkit.errors import DatabaseError, DatabaseUnavailable
from ragkit.evaluation.metrics.trec import Rankings
from ragkit.evaluation.questions import QuestionSet
from ragkit.evaluation.runs import RetrievalRun
from ragkit.migration.migration import Migration
from ragkit.migration.rescue.document import choose_document
from ragkit.migration.rescue.text_index import MIN_ROWS
from ragkit.migration.schema.index.estimate import estimate_rows
from ragkit.retrieval.rescue.candidates.full_text import find_candidates
from ragkit.retrieval.rescue.plan import RescuePlan
from ragkit.retrieval.search import nearest_with_distance
from ragkit.retrieval.space import Binding

DEPTH = 50
"""Rows of each list: a row that is deeper in both changes nothing among the first."""
STATEMENT_TIMEOUT = "60s"
"""Of a search by vectors."""


def by_words(migration: Migration, questions: QuestionSet) -> Rankings | None:
    """By PostgreSQL's full text search: the words of a question, any of them, by ts_rank. None
    where the table is too large to be searched without an index that it does not have, where
    its terms are not plain, or where the role may not read what that takes. Raises
    DatabaseUnavailable."""
    if not migration.terms.is_plain:
        return None
    document, table = choose_document(migration), migration.plan.table
    try:
        with translate_errors("searching by words"), migration.engine.connect() as connection:
            is_small = estimate_rows(connection, migration) < MIN_ROWS
            if not is_small and not document.column:
                return None
            plan = RescuePlan(
                space=migration.new.space.fingerprint, key=migration.key.name,
                key_type=migration.key_type, content=table.content, language=document.language,
                document=document.column, is_small=is_small,
            )  # fmt: skip
            connection.rollback()
            return {
                question: list(find_candidates(connection, migration.new, plan, text, DEPTH))
                for question, text in questions.texts.items()
            }
    except DatabaseUnavailable:
        raise
    except DatabaseError:
        return None


def by_vectors(
    migration: Migration, binding: Binding, run: RetrievalRun, is_exact: bool = False
) -> Rankings:
    """As the app searches, or without the index, but deeper. Raises DatabaseError."""
    settings, key = {"statement_timeout": STATEMENT_TIMEOUT}, migration.terms.key.text_of("r")
    if is_exact:
        settings["enable_indexscan"] = "off"
    rankings = {}
    with translate_errors("searching deeper"), migration.engine.connect() as connection:
        for question, vector in run.vectors.items():
            rows = nearest_with_distance(connection, binding, vector, [key], DEPTH, settings)
            rankings[question] = [str(row) for row, _ in rows]
    return rankings
